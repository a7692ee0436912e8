/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* Opening a virtio PCI device: what it is asked, in which order, and each reason not to use it. */

#include "vp_fix.h"

#define F_ACCESS_PLATFORM 33
#define FEATURES                                                            \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC | \
	 1ull << VIRTIO_RING_F_EVENT_IDX)

/* The writes of these registers, in their order, and no others of them. */
static void
assert_written(const struct fake_pci_write *want, unsigned int nb)
{
	unsigned int i, n = 0;

	for (i = 0; i < fp.nb_writes; i++) {
		const struct fake_pci_write *w = &fp.write[i];

		if (w->off != FAKE_PCI_REG(device_status) && w->off != FAKE_PCI_REG(guest_feature))
			continue;
		assert_true(n < nb);
		assert_int_equal(w->off, want[n].off);
		assert_int_equal(w->value, want[n].value);
		n++;
	}
	assert_int_equal(n, nb);
}

/* Registers of queues and doorbells are not written before start. */
static void
assert_no_queue_written(void)
{
	unsigned int i;

	for (i = 0; i < fp.nb_writes; i++)
		assert_true(fp.write[i].off <= FAKE_PCI_REG(queue_select));
}

#define STATUS(v)                                              \
	{                                                      \
		.off = FAKE_PCI_REG(device_status), .value = v \
	}
#define FEATURE(v)                                             \
	{                                                      \
		.off = FAKE_PCI_REG(guest_feature), .value = v \
	}

static void
opened(void **state)
{
	static const struct fake_pci_write want[] = {
		STATUS(0),
		STATUS(ST_ACK),
		STATUS(ST_DRIVER),
		FEATURE((uint32_t)FEATURES),
		FEATURE((uint32_t)(FEATURES >> 32)),
		STATUS(ST_FEAT_OK),
	};
	struct apir_transport_limits limits;

	(void)state;
	make(FS, 3);
	/* a driver before us, a firmware's say, left it running */
	fp.status = ST_RUNS;
	fp.queue[1].enable = 1;
	assert_int_equal(open_it(), 0);
	assert_written(want, sizeof(want) / sizeof(want[0]));
	assert_no_queue_written();
	assert_int_equal(fp.status, ST_FEAT_OK);
	/* no more of what it offers than is needed */
	assert_int_equal(fp.accepted, FEATURES);
	assert_int_equal(fp.queue[1].enable, 0);
	assert_string_equal(t->ops->name, "virtio-pci");
	assert_true(t->ops->probes);
	assert_ptr_equal(t->env, &fe.env);
	t->ops->limits(t, &limits);
	assert_int_equal(limits.nb_data_queues, 2);
	assert_int_equal(limits.queue_size, 128);
	assert_true(t->ops->alive(t));
	assert_int_equal(t->ops->call_fd(t, 0), -1);
	assert_int_equal(t->ops->update_mem(t, NULL, 0), 0);
	assert_true(fake_env_logged(&fe, FAKE_PCI_ADDR
				    ": vhost-user-fs-pci 'apir0', 3 queues of up to 128 entries"));
	close_it();
	assert_written(want, sizeof(want) / sizeof(want[0]));
	unmake();
}

static void
each_carrier(void **state)
{
	static const uint16_t ids[] = {BLK, 0x1001, 0x107f};
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		make(ids[i], 2);
		assert_int_equal(open_it(), 0);
		close_it();
		unmake();
	}
}

static void
no_time(void **state)
{
	(void)state;
	make(FS, 3);
	assert_int_equal(apir_virtio_pci_open(&fp.pci, &fe.env, 0, &t), -EINVAL);
	assert_int_equal(fp.accesses, 0);
	unmake();
}

static void
features_missing(void **state)
{
	static const struct {
		unsigned int bit;
		const char *name, *mend;
	} tab[] = {
		{VIRTIO_F_VERSION_1, "lacks VIRTIO_F_VERSION_1 ", "disable-modern=on"},
		{VIRTIO_RING_F_INDIRECT_DESC, "lacks VIRTIO_RING_F_INDIRECT_DESC ",
		 "indirect_desc=off"},
		{VIRTIO_RING_F_EVENT_IDX, "lacks VIRTIO_RING_F_EVENT_IDX ", "event_idx=off"},
	};
	unsigned int i;
	char offers[64];

	(void)state;
	for (i = 0; i < sizeof(tab) / sizeof(tab[0]); i++) {
		make(FS, 3);
		fp.offered &= ~(1ull << tab[i].bit);
		snprintf(offers, sizeof(offers), "it offers 0x%llx",
			 (unsigned long long)fp.offered);
		assert_refused(EPROTO, tab[i].name, tab[i].mend);
		assert_true(fake_env_logged(&fe, offers));
		/* told that we gave up, and before it was told any features */
		assert_int_equal(fp.status, ST_DRIVER | VIRTIO_CONFIG_S_FAILED);
		assert_int_equal(fp.accepted, 0);
		assert_no_queue_written();
		unmake();
	}
}

static void
access_platform(void **state)
{
	(void)state;
	make(FS, 3);
	fp.offered |= 1ull << F_ACCESS_PLATFORM;
	assert_refused(EPROTO, "virtual IOMMU", "iommu_platform=on");
	assert_int_equal(fp.status, ST_DRIVER | VIRTIO_CONFIG_S_FAILED);
	unmake();
}

static void
features_refused(void **state)
{
	(void)state;
	make(FS, 3);
	fp.refuses_features = true;
	assert_refused(EPROTO, "refuses the features 0x130000000", "all of which it offers");
	assert_int_equal(fp.status, ST_DRIVER | VIRTIO_CONFIG_S_FAILED);
	assert_no_queue_written();
	unmake();
}

static void
reset_takes_long(void **state)
{
	(void)state;
	make(FS, 3);
	fp.status = ST_RUNS;
	fp.reset_reads = TIMEOUT_MS - 1;
	assert_int_equal(open_it(), 0);
	assert_int_equal(fp.status, ST_FEAT_OK);
	close_it();
	unmake();
}

static void
reset_never_ends(void **state)
{
	static const struct fake_pci_write want[] = {STATUS(0)};

	(void)state;
	make(FS, 3);
	fp.status = ST_RUNS;
	fp.never_resets = true;
	assert_refused(ETIMEDOUT, "does not finish its reset within 20 ms (status 0xf)",
		       "QEMU hangs");
	/* it was asked about once for each millisecond, and nothing else was done */
	assert_true(fp.accesses <= TIMEOUT_MS + 3);
	assert_written(want, 1);
	unmake();
}

static void
unplugged(void **state)
{
	(void)state;
	make(FS, 3);
	fp.gone = true;
	assert_refused(ENODEV, "unplugged", "the device is gone");
	assert_int_equal(fp.nb_writes, 1);
	unmake();
}

static void
queue_numbers(void **state)
{
	static const struct {
		uint16_t id, nb;
		const char *text, *mend;
	} bad[] = {
		{FS, 0, "has 0 queues: 2 to 65", "vhost-user-fs-pci num-request-queues=1 to 64"},
		{FS, 1, "has 1 queues: 2 to 65", "vhost-user-fs-pci num-request-queues=1 to 64"},
		{FS, 66, "has 66 queues: 2 to 65", "num-request-queues=1 to 64"},
		{BLK, 1, "has 1 queues: 2 to 65", "vhost-user-blk-pci num-queues=2 to 65"},
		{0x107f, 70, "has 70 queues", "vhost-user-test-device-pci num_vqs=2 to 65"},
	};
	static const uint16_t good[] = {2, 65};
	struct apir_transport_limits limits;
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		make(bad[i].id, bad[i].nb);
		assert_refused(EINVAL, bad[i].text, bad[i].mend);
		assert_int_equal(fp.status, ST_FEAT_OK | VIRTIO_CONFIG_S_FAILED);
		unmake();
	}
	for (i = 0; i < 2; i++) {
		make(FS, good[i]);
		assert_int_equal(open_it(), 0);
		t->ops->limits(t, &limits);
		assert_int_equal(limits.nb_data_queues, good[i] - 1);
		close_it();
		unmake();
	}
}

static void
queue_sizes(void **state)
{
	static const uint16_t bad[] = {0, 1, 4, 7, 9, 100, 1023, 0xffff};
	struct apir_transport_limits limits;
	unsigned int i;
	char text[64];

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		make(FS, 4);
		fp.max_size[2] = bad[i];
		snprintf(text, sizeof(text), "queue 2 of the device has %u entries", bad[i]);
		assert_refused(EINVAL, text, "queue-size=");
		assert_int_equal(fp.status, ST_FEAT_OK | VIRTIO_CONFIG_S_FAILED);
		unmake();
	}
	/* the least of all queues' counts; more than the contract's is of no use */
	make(FS, 4);
	fp.max_size[0] = 1024;
	fp.max_size[1] = 256;
	fp.max_size[3] = 2048;
	assert_int_equal(open_it(), 0);
	t->ops->limits(t, &limits);
	assert_int_equal(limits.queue_size, 128);
	close_it();
	unmake();
	make(FS, 2);
	fp.max_size[0] = fp.max_size[1] = 0x8000;
	assert_int_equal(open_it(), 0);
	t->ops->limits(t, &limits);
	assert_int_equal(limits.queue_size, APIR_MAX_QUEUE_SIZE);
	close_it();
	unmake();
	make(FS, 2);
	fp.max_size[1] = APIR_MIN_QUEUE_SIZE;
	assert_int_equal(open_it(), 0);
	t->ops->limits(t, &limits);
	assert_int_equal(limits.queue_size, 8);
	close_it();
	unmake();
}

static void
bar_too_small(void **state)
{
	struct apir_pci_ops no_bars;
	struct apir_pci pci;

	(void)state;
	make(FS, 3);
	fp.bar_len = FAKE_PCI_NOTIFY + 0xfff;
	assert_refused(ENODEV, "BAR 4 of 8191 bytes does not hold", "(4096 bytes at 0x1000)");
	fp.bar_len = 55;
	assert_refused(ENODEV, "BAR 4 of 55 bytes does not hold", "(56 bytes at 0x0)");
	fp.bar_len = 0;
	assert_refused(ENODEV, "BAR 4 of 0 bytes", "");
	fp.bar_is_unmapped = true;
	assert_refused(ENODEV, "BAR 4 of 0 bytes", "");
	/* reached in a way that has none, such as through sysfs */
	no_bars = *fp.pci.ops;
	no_bars.bar = NULL;
	pci = fp.pci;
	pci.ops = &no_bars;
	assert_int_equal(apir_virtio_pci_open(&pci, &fe.env, TIMEOUT_MS, &t), -ENODEV);
	assert_int_equal(fp.accesses, 0);
	unmake();
}

/* Nothing is written to a device that is another's, nor read from its registers. */
static void
foreign(void **state)
{
	(void)state;
	make(FS, 3);
	fake_pci_set_config(&fp, "myfs", sizeof("myfs"));
	fp.status = ST_RUNS;
	assert_refused(ENODEV, "its tag does not begin with 'apir' ('myfs')", "left alone");
	assert_int_equal(fp.accesses, 0);
	assert_int_equal(fp.status, ST_RUNS);
	unmake();

	make(BLK, 3);
	fake_pci_set_config(&fp, "\1", 1);
	assert_refused(ENODEV, "it is a disk", "left alone");
	assert_int_equal(fp.accesses, 0);
	unmake();

	make(0x1041, 3);
	assert_refused(ENODEV, "it is of another kind", "left alone");
	assert_int_equal(fp.accesses, 0);
	assert_int_equal(fp.cfg_writes, 0);
	unmake();
}

/* What cannot be told is not called foreign. */
static void
configuration_fails(void **state)
{
	unsigned int reads, n;

	(void)state;
	make(FS, 3);
	assert_int_equal(open_it(), 0);
	close_it();
	reads = fp.cfg_reads;
	fp.accesses = 0;
	for (n = 1; n <= reads; n++) {
		fp.cfg_reads = 0;
		fp.cfg_read_fails = n;
		fake_env_log_clear(&fe);
		assert_refused(EACCES, "cannot be read", "");
		assert_false(fake_env_logged(&fe, "left alone"));
	}
	assert_int_equal(fp.accesses, 0);
	unmake();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opened),	    cmocka_unit_test(each_carrier),
		cmocka_unit_test(no_time),	    cmocka_unit_test(features_missing),
		cmocka_unit_test(access_platform),  cmocka_unit_test(features_refused),
		cmocka_unit_test(reset_takes_long), cmocka_unit_test(reset_never_ends),
		cmocka_unit_test(unplugged),	    cmocka_unit_test(queue_numbers),
		cmocka_unit_test(queue_sizes),	    cmocka_unit_test(bar_too_small),
		cmocka_unit_test(foreign),	    cmocka_unit_test(configuration_fails),
	};

	if (fake_pci_cannot_trap() != NULL) {
		fprintf(stderr, "skipped: %s\n", fake_pci_cannot_trap());
		return 77;
	}
	return cmocka_run_group_tests_name("virtio_pci", tests, NULL, NULL);
}
