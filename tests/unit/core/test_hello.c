/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* HELLO: what is accepted, and each way to be refused. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "apir_ctl_client.h"
#include "fake_ctl.h"

static struct fake_ctl dev;
static struct apir_ctl *ctl;

static const struct apir_hello_req ours = {.version_min = APIR_VERSION,
					   .version_max = APIR_VERSION + 2,
					   .features = APIR_F_LOOPBACK | APIR_F_MULTI_SEG,
					   .nb_data_queues = 4,
					   .max_pkts = 256,
					   .driver_name = "test"};
static const struct apir_hello_rsp good = {.version = APIR_VERSION + 1,
					   .version_min = APIR_VERSION,
					   .features = APIR_F_LOOPBACK,
					   .max_data_queues = 8,
					   .max_pkts = 256,
					   .max_segs = 512,
					   .max_objects = 100,
					   .max_device_memory = 1ull << 33,
					   .copy_mode = APIR_COPY_NONE_RAW,
					   .max_source = 1 << 20,
					   .device_name = "a device"};

/* What the device answers. */
static struct {
	struct apir_hello_rsp rsp;
	uint16_t type, status;
	uint32_t len;
	bool silent;
	struct apir_hello_req got;
	struct apir_ctl_req got_hdr;
} say;

static int64_t
serve_hello(struct fake_ctl *d, const void *req, uint32_t len, void *rsp)
{
	struct apir_ctl_rsp *h = rsp;

	(void)d;
	memcpy(&say.got_hdr, req, sizeof(say.got_hdr));
	if (len == sizeof(say.got_hdr) + sizeof(say.got))
		memcpy(&say.got, (const char *)req + sizeof(say.got_hdr), sizeof(say.got));
	if (say.silent)
		return FAKE_CTL_SILENT;
	*h = (struct apir_ctl_rsp){
		.magic = APIR_MAGIC, .type = say.type, .status = say.status, .len = say.len};
	memcpy(h + 1, &say.rsp, sizeof(say.rsp));
	return (int64_t)sizeof(*h) + say.len;
}

static int
setup(void **state)
{
	(void)state;
	memset(&say, 0, sizeof(say));
	say.rsp = good;
	say.type = APIR_CTL_HELLO;
	say.len = sizeof(good);
	fake_ctl_start(&dev, serve_hello);
	return apir_ctl_create(&dev.base, dev.vq, 10000, &ctl);
}

static int
teardown(void **state)
{
	(void)state;
	apir_ctl_destroy(ctl);
	fake_ctl_stop(&dev);
	return 0;
}

static int
hello(void)
{
	struct apir_hello_rsp rsp;

	return apir_ctl_hello(ctl, &ours, &rsp, 10000);
}

static void
accepted(void **state)
{
	struct apir_hello_rsp rsp;

	(void)state;
	assert_int_equal(apir_ctl_hello(ctl, &ours, &rsp, 10000), 0);
	assert_memory_equal(&rsp, &good, sizeof(rsp));
	assert_memory_equal(&say.got, &ours, sizeof(ours));
	assert_int_equal(say.got_hdr.magic, APIR_MAGIC);
	assert_int_equal(say.got_hdr.type, APIR_CTL_HELLO);
	assert_int_equal(say.got_hdr.len, sizeof(ours));
	assert_int_equal(say.got_hdr.resv, 0);
	assert_int_equal(say.got_hdr.resv2, 0);
}

/* A later minor version may have a longer answer. */
static void
longer_answer_accepted(void **state)
{
	(void)state;
	say.len = sizeof(good) + 64;
	assert_int_equal(hello(), 0);
}

static void
no_common_version(void **state)
{
	(void)state;
	say.status = APIR_S_VERSION;
	say.rsp.version = (3 << 16) | 4;
	say.rsp.version_min = 2 << 16;
	strcpy(say.rsp.text, "please update");
	assert_int_equal(hello(), -EPROTONOSUPPORT);
	assert_true(
		fake_env_logged(&dev.fe, "this driver speaks 1.0 to 1.2, the device 2.0 to 3.4"));
	assert_true(fake_env_logged(&dev.fe, "please update"));
}

static void
refusals(void **state)
{
	static const struct {
		uint16_t status;
		int err;
	} tab[] = {
		{APIR_S_SESSIONS, -EBUSY},    {APIR_S_TOOBIG, -E2BIG}, {APIR_S_NOMEM, -ENOMEM},
		{APIR_S_MALFORMED, -EBADMSG}, {APIR_S_INVAL, -EINVAL}, {4711, -EPROTO},
	};
	char endless[APIR_TEXT_LEN + 1];
	size_t i;

	(void)state;
	memset(endless, 'y', APIR_TEXT_LEN);
	endless[APIR_TEXT_LEN] = '\0';
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		/* with its text, which has no end */
		say.status = tab[i].status;
		memset(say.rsp.text, 'y', sizeof(say.rsp.text));
		say.len = sizeof(say.rsp);
		fake_env_log_clear(&dev.fe);
		assert_int_equal(hello(), tab[i].err);
		assert_true(fake_env_logged(&dev.fe, "refuses HELLO (4 queues, bursts of 256)"));
		assert_true(fake_env_logged(&dev.fe, apir_status_str(tab[i].status)));
		assert_true(fake_env_logged(&dev.fe, "yyy"));
		assert_false(fake_env_logged(&dev.fe, endless));
		/* and without */
		say.len = 0;
		fake_env_log_clear(&dev.fe);
		assert_int_equal(hello(), tab[i].err);
		assert_false(fake_env_logged(&dev.fe, "yyy"));
	}
	/* none of these ends the queue: a driver may try again, more modestly */
	say.status = APIR_S_OK;
	say.rsp = good;
	say.len = sizeof(good);
	assert_int_equal(hello(), 0);
}

#define NONSENSE(what, assignment)                           \
	do {                                                 \
		say.rsp = good;                              \
		assignment;                                  \
		fake_env_log_clear(&dev.fe);                 \
		assert_int_equal(hello(), -EPROTO);          \
		assert_true(fake_env_logged(&dev.fe, what)); \
	} while (0)

static void
nonsense(void **state)
{
	(void)state;
	NONSENSE("version", say.rsp.version = APIR_VERSION - 1);
	NONSENSE("version", say.rsp.version = APIR_VERSION + 3);
	NONSENSE("features", say.rsp.features = APIR_F_PIPELINE);
	NONSENSE("features", say.rsp.features = ~0ull);
	NONSENSE("data queues", say.rsp.max_data_queues = 0);
	NONSENSE("data queues", say.rsp.max_data_queues = APIR_MAX_DATA_QUEUES + 1);
	NONSENSE("packets", say.rsp.max_pkts = 0);
	NONSENSE("packets", say.rsp.max_pkts = APIR_MAX_PKTS + 1);
	NONSENSE("segments", say.rsp.max_segs = good.max_pkts - 1);
	NONSENSE("segments", say.rsp.max_segs = APIR_MAX_SEGS + 1);
	NONSENSE("segments", say.rsp.max_segs = UINT32_MAX);
	NONSENSE("objects", say.rsp.max_objects = 0);
	NONSENSE("source", say.rsp.max_source = 0);
	NONSENSE("copy mode", say.rsp.copy_mode = 3);
	NONSENSE("device name", memset(say.rsp.device_name, 'x', sizeof(say.rsp.device_name)));
	NONSENSE("bytes", say.len = sizeof(good) - 1);
	say.len = 0;
	assert_int_equal(hello(), -EPROTO);
	say.len = sizeof(good);
	say.type = APIR_CTL_RPC;
	assert_int_equal(hello(), -EPROTO);
	/* the device comes to its senses */
	say.type = APIR_CTL_HELLO;
	say.rsp = good;
	assert_int_equal(hello(), 0);
}

static void
no_answer(void **state)
{
	struct apir_hello_rsp rsp;

	(void)state;
	say.silent = true;
	assert_int_equal(apir_ctl_hello(ctl, &ours, &rsp, 50), -ETIMEDOUT);
	assert_true(fake_env_logged(&dev.fe, "nobody is there"));
	assert_int_equal(apir_ctl_hello(ctl, &ours, &rsp, 50), -ETIMEDOUT);
	/* a slow machine's device has not even looked */
	assert_true(atomic_load(&dev.seen) <= 1);
}

static void
device_gone(void **state)
{
	(void)state;
	fake_ctl_die(&dev);
	assert_int_equal(hello(), -ENODEV);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(accepted),	      T(longer_answer_accepted),
		T(no_common_version), T(refusals),
		T(nonsense),	      T(no_answer),
		T(device_gone),
	};

	return cmocka_run_group_tests_name("hello", tests, NULL, NULL);
}
