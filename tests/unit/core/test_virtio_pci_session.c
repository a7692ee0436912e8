/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/*
 * HELLO and liveness over virtio PCI: the control queue of fake_ctl.h, reached through the registers of fake_pci.h.
 * Its doorbell wakes the device's thread.
 */

#include <rpc/rpc.h>
#include <stdlib.h>
#include <unistd.h>

#include "apir_ctl.h"
#include "apir_ctl_client.h"
#include "fake_ctl.h"
#include "fake_svc.h"
#include "vp_fix.h"

#define LONG_MS	 10000u /* never reached when all is well */
#define SHORT_MS 50u	/* a wait that is to end */

static struct fake_ctl dev;
static struct apir_ctl *ctl;

static const struct apir_hello_req ours = {.version_min = APIR_VERSION,
					   .version_max = APIR_VERSION,
					   .nb_data_queues = 1,
					   .max_pkts = 256,
					   .driver_name = "test"};

/* What the device answers. */
static struct {
	struct apir_hello_rsp hello;
	uint16_t status;
	bool silent, system_error;
} say;

static int64_t
serve(struct fake_ctl *d, const void *req, uint32_t len, void *rsp)
{
	const struct apir_ctl_req *h = req;
	struct apir_ctl_rsp *r = rsp;
	uint32_t n = 0;

	(void)d;
	if (say.silent || len < sizeof(*h))
		return FAKE_CTL_SILENT;
	if (h->type == APIR_CTL_HELLO) {
		n = sizeof(say.hello);
		memcpy(r + 1, &say.hello, n);
	} else if (say.status == APIR_S_OK) {
		n = fake_svc_serve(h + 1, h->len, r + 1, APIR_CTL_MAX - sizeof(*r));
		if (say.system_error) /* an accepted call's state, after xid, reply, accepted, verifier */
			((uint32_t *)(r + 1))[5] = htonl(SYSTEM_ERR);
	}
	*r = (struct apir_ctl_rsp){
		.magic = APIR_MAGIC, .type = h->type, .status = say.status, .len = n};
	return (int64_t)(sizeof(*r) + n);
}

static void
wake(struct fake_pci *p, uint16_t value)
{
	const uint64_t one = 1;

	(void)p;
	if (value != APIR_CTL_QUEUE || write(dev.kick_fd, &one, sizeof(one)) < 0)
		abort();
}

static void
begin(void)
{
	memset(&say, 0, sizeof(say));
	say.hello = (struct apir_hello_rsp){.version = APIR_VERSION,
					    .version_min = APIR_VERSION,
					    .max_data_queues = 8,
					    .max_pkts = 256,
					    .max_segs = 512,
					    .max_objects = 100,
					    .max_source = 1 << 20,
					    .device_name = "a device"};
	fake_ctl_start(&dev, serve);
	fake_pci_init(&fp, FS, 2);
	fake_pci_set_config(&fp, "apir0", sizeof("apir0"));
	fp.on_doorbell = wake;
	fake_pci_arm(&fp);
	assert_int_equal(apir_virtio_pci_open(&fp.pci, &dev.fe.env, LONG_MS, &t), 0);
	assert_int_equal(t->ops->queue_setup(t, APIR_CTL_QUEUE, dev.vq), 0);
	assert_int_equal(t->ops->start(t), 0);
	/* what the device's thread serves is what the registers name */
	assert_ptr_equal(fake_env_va(&dev.fe, fp.queue[0].desc, 1), dev.ring.desc);
	assert_ptr_equal(fake_env_va(&dev.fe, fp.queue[0].avail, 1), dev.ring.avail);
	assert_ptr_equal(fake_env_va(&dev.fe, fp.queue[0].used, 1), dev.ring.used);
	assert_int_equal(apir_ctl_create(t, dev.vq, LONG_MS, &ctl), 0);
}

static void
end(void)
{
	apir_ctl_destroy(ctl);
	close_it();
	fake_ctl_stop(&dev);
	if (fp.wrong != NULL)
		fail_msg("%s", fp.wrong);
	fake_pci_fini(&fp);
}

static int
hello(unsigned int timeout_ms)
{
	struct apir_hello_rsp rsp;

	return apir_ctl_hello(ctl, &ours, &rsp, timeout_ms);
}

static void
session(void **state)
{
	struct apir_hello_rsp rsp;

	(void)state;
	begin();
	assert_int_equal(apir_ctl_hello(ctl, &ours, &rsp, LONG_MS), 0);
	assert_memory_equal(&rsp, &say.hello, sizeof(rsp));
	assert_int_equal(apir_ctl_ping(ctl, LONG_MS), 0);
	assert_int_equal(fake_svc_last_proc, 0);
	assert_int_equal(atomic_load(&dev.seen), 2);
	end();
}

/* QEMU gives no sign of a back-end that is not there: the text says where to look. */
static void
no_back_end(void **state)
{
	(void)state;
	begin();
	say.silent = true;
	assert_int_equal(hello(SHORT_MS), -ETIMEDOUT);
	assert_true(fake_env_logged(&dev.fe, "no answer to HELLO within 50 ms"));
	assert_true(fake_env_logged(&dev.fe, "apird --client"));
	assert_true(fake_env_logged(&dev.fe, "share=on"));
	end();
}

static void
newer_back_end(void **state)
{
	(void)state;
	begin();
	say.status = APIR_S_VERSION;
	say.hello.version_min = 2u << 16;
	say.hello.version = (3u << 16) | 1;
	assert_int_equal(hello(LONG_MS), -EPROTONOSUPPORT);
	assert_true(
		fake_env_logged(&dev.fe, "this driver speaks 1.0 to 1.0, the device 2.0 to 3.1"));
	end();
}

/* The time that a remote call has, as the RPC handle tells it. */
static unsigned int
call_ms(void)
{
	struct timeval tv = {0};

	assert_true(clnt_control(apir_ctl_client(ctl), CLGET_TIMEOUT, &tv));
	return (unsigned int)(tv.tv_sec * 1000 + tv.tv_usec / 1000);
}

static void
ping_answered(void **state)
{
	(void)state;
	begin();
	assert_int_equal(apir_ctl_ping(ctl, LONG_MS / 2), 0);
	assert_int_equal(call_ms(), LONG_MS);
	assert_int_equal(apir_ctl_ping(ctl, LONG_MS / 2), 0);
	end();
}

static void
ping_silent(void **state)
{
	(void)state;
	begin();
	say.silent = true;
	assert_int_equal(apir_ctl_ping(ctl, SHORT_MS), -ETIMEDOUT);
	assert_true(fake_env_logged(&dev.fe, "no answer on the control queue within 50 ms"));
	assert_int_equal(call_ms(), LONG_MS);
	/* the request that was not answered holds the queue: not answered at once, whatever the time */
	assert_int_equal(apir_ctl_ping(ctl, LONG_MS), -ETIMEDOUT);
	assert_true(atomic_load(&dev.seen) <= 1);
	end();
}

/* A back-end that was started again behind our back knows no session. */
static void
ping_forgotten(void **state)
{
	(void)state;
	begin();
	say.status = APIR_S_NOTREADY;
	assert_int_equal(apir_ctl_ping(ctl, LONG_MS / 2), -EAGAIN);
	assert_int_equal(call_ms(), LONG_MS);
	/* other refusals, and statuses of a later contract, are no answer of a session either */
	say.status = APIR_S_UNSUPPORTED;
	assert_int_equal(apir_ctl_ping(ctl, LONG_MS), -ENOTSUP);
	say.status = 4711;
	assert_int_equal(apir_ctl_ping(ctl, LONG_MS), -EPROTO);
	/* the procedure itself fails: never taken for success, nor for the error before */
	say.status = APIR_S_OK;
	say.system_error = true;
	assert_int_equal(apir_ctl_ping(ctl, LONG_MS), -EIO);
	say.system_error = false;
	assert_int_equal(apir_ctl_ping(ctl, LONG_MS), 0);
	end();
}

static void
unplug(struct fake_pci *p, uint16_t value)
{
	(void)value;
	p->gone = true;
}

static void
need_reset(struct fake_pci *p, uint16_t value)
{
	(void)value;
	p->status |= NEED_RESET;
}

/* The device goes while a request waits: no waiting for the time limit, which is long. */
static void
goes_meanwhile(void **state)
{
	static void (*const how[])(struct fake_pci *, uint16_t) = {unplug, need_reset};
	unsigned int i;

	(void)state;
	for (i = 0; i < 2; i++) {
		begin();
		/* a back-end quick enough to answer first would be right, too, and not what is tried */
		say.silent = true;
		fp.on_doorbell = how[i];
		assert_int_equal(hello(LONG_MS), -ENODEV);
		assert_int_equal(apir_ctl_ping(ctl, LONG_MS), -ENODEV);
		assert_int_equal(call_ms(), LONG_MS);
		end();
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(session),	  cmocka_unit_test(no_back_end),
		cmocka_unit_test(newer_back_end), cmocka_unit_test(ping_answered),
		cmocka_unit_test(ping_silent),	  cmocka_unit_test(ping_forgotten),
		cmocka_unit_test(goes_meanwhile),
	};

	if (fake_pci_cannot_trap() != NULL) {
		fprintf(stderr, "skipped: %s\n", fake_pci_cannot_trap());
		return 77;
	}
	return cmocka_run_group_tests_name("virtio_pci_session", tests, NULL, NULL);
}
