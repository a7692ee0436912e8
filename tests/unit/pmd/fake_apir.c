/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_errno.h>

#include "fake_apir.h"

#define DEV_ID	 7
#define MAX_QPS	 64
#define MAX_EVER 4096
#define LOST	 255

struct burst {
	struct rte_mbuf *pkts[FAKE_MAX_BURST];
	unsigned int nb, segs, off;
	uint16_t status;
	bool complete;
};

struct qp {
	struct burst bursts[FAKE_MAX_BURSTS];
	unsigned int head, tail; /* bursts submitted, released: ever */
	bool gathering;		 /* bursts[head] is open */
	uint32_t pipeline;
	uint16_t pkts_of[MAX_EVER];
	uint32_t pipeline_of[MAX_EVER];
	unsigned int dequeued; /* packets, ever */
	struct rte_apir_stats stats;
};

int fake_open_error, fake_reconnect_error, fake_program_error, fake_kernel_error,
	fake_pipeline_error;
unsigned int fake_open_refusals;
uint16_t fake_most_queues;
uint32_t fake_nb_args;
bool fake_lose_at_callback_set;
bool fake_auto_complete;
fake_verdict_fn fake_verdict;
uint16_t fake_status;
uintptr_t fake_unshared_start, fake_unshared_end;
struct rte_apir_conf fake_conf;
char fake_log[4096];
unsigned int fake_live_objects, fake_opens, fake_reconnects;
bool fake_is_open;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct qp *qps;
static enum rte_apir_state state;
static rte_apir_lost_cb lost_cb;
static void *lost_arg;
static uint32_t next_id;
static char last_error[256];
static char path_copy[256];

static void
say(const char *fmt, ...)
{
	const size_t len = strlen(fake_log);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(fake_log + len, sizeof(fake_log) - len, fmt, ap);
	va_end(ap);
}

static int
fails(int err, const char *text)
{
	snprintf(last_error, sizeof(last_error), "%s", text);
	return err;
}

void
fake_reset(void)
{
	fake_open_error = fake_reconnect_error = fake_program_error = 0;
	fake_kernel_error = fake_pipeline_error = 0;
	fake_open_refusals = 0;
	fake_most_queues = MAX_QPS;
	fake_nb_args = 0;
	fake_lose_at_callback_set = false;
	fake_auto_complete = false;
	fake_verdict = NULL;
	fake_status = 0;
	fake_unshared_start = fake_unshared_end = 0;
	memset(&fake_conf, 0, sizeof(fake_conf));
	fake_log[0] = '\0';
	fake_live_objects = fake_opens = fake_reconnects = 0;
	fake_is_open = false;
	state = RTE_APIR_RUNNING;
	lost_cb = NULL;
	next_id = 100;
	last_error[0] = '\0';
	free(qps);
	qps = calloc(MAX_QPS, sizeof(*qps));
}

/* Control ------------------------------------------------------------------ */

int
rte_apir_open(const struct rte_apir_conf *conf, uint16_t *dev_id)
{
	fake_opens++;
	if (fake_open_refusals > 0) {
		fake_open_refusals--;
		return fails(-ECONNREFUSED, "nobody listens");
	}
	if (fake_open_error != 0)
		return fails(fake_open_error, "fake open error");
	if (conf->nb_queue_pairs > fake_most_queues)
		return fails(-EINVAL, "too many queues");
	fake_conf = *conf;
	snprintf(path_copy, sizeof(path_copy), "%s",
		 conf->path != NULL  ? conf->path
		 : conf->pci != NULL ? conf->pci
				     : RTE_APIR_DEFAULT_PATH);
	fake_conf.path = path_copy;
	if (fake_conf.nb_bursts == 0)
		fake_conf.nb_bursts = 32;
	if (fake_conf.max_burst == 0)
		fake_conf.max_burst = 256;
	if (fake_conf.max_segs == 0)
		fake_conf.max_segs = fake_conf.max_burst;
	fake_is_open = true;
	*dev_id = DEV_ID;
	return 0;
}

int
rte_apir_close(uint16_t dev_id)
{
	unsigned int i, b, k;

	if (dev_id != DEV_ID || !fake_is_open)
		return -ENODEV;
	if (state == RTE_APIR_HUNG)
		return -EBUSY;
	for (i = 0; i < MAX_QPS; i++) {
		struct qp *q = &qps[i];

		if (q->gathering)
			q->head++;
		for (b = q->tail; b != q->head; b++)
			for (k = q->bursts[b % FAKE_MAX_BURSTS].off;
			     k < q->bursts[b % FAKE_MAX_BURSTS].nb; k++)
				rte_pktmbuf_free(q->bursts[b % FAKE_MAX_BURSTS].pkts[k]);
		q->head = q->tail;
	}
	fake_is_open = false;
	return 0;
}

int
rte_apir_reconnect(uint16_t dev_id __rte_unused)
{
	unsigned int i;
	int ret = 0;

	pthread_mutex_lock(&lock);
	if (state != RTE_APIR_LOST)
		ret = -EALREADY;
	for (i = 0; i < MAX_QPS && ret == 0; i++)
		if (qps[i].head != qps[i].tail || qps[i].gathering)
			ret = -EAGAIN;
	if (ret == 0)
		ret = fake_reconnect_error;
	if (ret == 0) {
		fake_reconnects++;
		fake_live_objects = 0;
		state = RTE_APIR_RUNNING;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

enum rte_apir_state
rte_apir_state(uint16_t dev_id)
{
	enum rte_apir_state s;

	if (dev_id != DEV_ID || !fake_is_open)
		return RTE_APIR_LOST;
	pthread_mutex_lock(&lock);
	s = state;
	pthread_mutex_unlock(&lock);
	return s;
}

int
rte_apir_lost_callback_set(uint16_t dev_id __rte_unused, rte_apir_lost_cb cb, void *arg)
{
	if (fake_lose_at_callback_set && cb != NULL)
		fake_lose();
	fake_lose_at_callback_set = false;
	lost_cb = cb;
	lost_arg = arg;
	return 0;
}

int
rte_apir_info_get(uint16_t dev_id __rte_unused, struct rte_apir_info *info)
{
	memset(info, 0, sizeof(*info));
	strcpy(info->platform, "fake platform");
	strcpy(info->device, "fake device");
	strcpy(info->executor, "opencl");
	strcpy(info->transport, fake_conf.pci != NULL ? "virtio-pci" : "vhost-user");
	strcpy(info->address, fake_conf.path);
	info->zero_copy = true;
	info->max_work_group = 1024;
	info->nb_queue_pairs = fake_conf.nb_queue_pairs;
	info->nb_bursts = fake_conf.nb_bursts;
	info->max_burst = fake_conf.max_burst;
	info->max_segs = fake_conf.max_segs;
	return 0;
}

const char *
rte_apir_last_error(void)
{
	return last_error;
}

const char *
rte_apir_status_str(uint16_t status)
{
	return status == LOST ? "lost" : "failed";
}

int
rte_apir_program_create(uint16_t dev_id __rte_unused, const char *source, size_t len,
			const char *options, uint32_t *program, char **log)
{
	if (log != NULL)
		*log = strdup(fake_program_error == -ENOEXEC ? "line one\nline two\n" : "");
	if (fake_program_error != 0)
		return fails(fake_program_error, "fake program error");
	say("program(%.*s|%s) ", (int)len, source, options == NULL ? "" : options);
	fake_live_objects++;
	*program = ++next_id;
	return 0;
}

static int
destroyed(void)
{
	fake_live_objects--;
	return 0;
}

int
rte_apir_program_destroy(uint16_t dev_id __rte_unused, uint32_t program __rte_unused)
{
	return destroyed();
}

int
rte_apir_kernel_create(uint16_t dev_id __rte_unused, uint32_t program __rte_unused,
		       const char *name, uint32_t *kernel, uint32_t *nb_args)
{
	if (fake_kernel_error != 0)
		return fails(fake_kernel_error, "there are: this, that");
	say("kernel(%s) ", name);
	fake_live_objects++;
	*kernel = ++next_id;
	*nb_args = fake_nb_args;
	return 0;
}

int
rte_apir_kernel_destroy(uint16_t dev_id __rte_unused, uint32_t kernel __rte_unused)
{
	return destroyed();
}

int
rte_apir_kernel_set_value(uint16_t dev_id __rte_unused, uint32_t kernel __rte_unused,
			  uint32_t index, const void *value, size_t size)
{
	const uint8_t *v = value;
	size_t i;

	say("value(%u:", index);
	for (i = 0; i < size; i++)
		say("%02x", v[i]);
	say(") ");
	return 0;
}

int
rte_apir_kernel_set_buffer(uint16_t dev_id __rte_unused, uint32_t kernel __rte_unused,
			   uint32_t index, uint32_t buffer __rte_unused)
{
	say("buffer(%u) ", index);
	return 0;
}

int
rte_apir_kernel_set_local(uint16_t dev_id __rte_unused, uint32_t kernel __rte_unused,
			  uint32_t index, size_t size)
{
	say("local(%u:%zu) ", index, size);
	return 0;
}

int
rte_apir_buffer_create(uint16_t dev_id __rte_unused, size_t size, uint32_t *buffer)
{
	say("create(%zu) ", size);
	fake_live_objects++;
	*buffer = ++next_id;
	return 0;
}

int
rte_apir_buffer_write(uint16_t dev_id __rte_unused, uint32_t buffer __rte_unused, size_t offset,
		      const void *data, size_t len)
{
	say("write(%zu:%.*s) ", offset, (int)len, (const char *)data);
	return 0;
}

int
rte_apir_buffer_destroy(uint16_t dev_id __rte_unused, uint32_t buffer __rte_unused)
{
	return destroyed();
}

int
rte_apir_pipeline_create(uint16_t dev_id __rte_unused, const struct rte_apir_stage *stages,
			 unsigned int nb, uint32_t *pipeline)
{
	unsigned int i;

	if (fake_pipeline_error != 0)
		return fails(fake_pipeline_error, "fake pipeline error");
	say("pipeline(");
	for (i = 0; i < nb; i++)
		say("%s:%u;", stages[i].launch == RTE_APIR_LAUNCH_GROUP ? "group" : "item",
		    stages[i].local_size);
	say(") ");
	fake_live_objects++;
	*pipeline = ++next_id;
	return 0;
}

/* Data path ---------------------------------------------------------------- */

static struct burst *
burst_at(struct qp *q, unsigned int n)
{
	return &q->bursts[n % FAKE_MAX_BURSTS];
}

static void
submit(struct qp *q)
{
	struct burst *b = burst_at(q, q->head);

	q->pkts_of[q->head % MAX_EVER] = (uint16_t)b->nb;
	q->pipeline_of[q->head % MAX_EVER] = q->pipeline;
	q->stats.enq_bursts++;
	q->stats.enq_pkts += b->nb;
	b->complete = fake_auto_complete;
	b->status = fake_status;
	q->gathering = false;
	q->head++;
}

static int
refuse(const struct rte_mbuf *m)
{
	const struct rte_mbuf *s;

	if (m->nb_segs > fake_conf.max_segs || m->nb_segs > 64)
		return EMSGSIZE;
	for (s = m; s != NULL; s = s->next) {
		const uintptr_t at = rte_pktmbuf_mtod(s, uintptr_t);

		if (s->data_len == 0)
			return ENODATA;
		if (at >= fake_unshared_start && at < fake_unshared_end)
			return EFAULT;
	}
	return 0;
}

/* Adds one packet; returns 0 or an errno. */
static int
gather_one(struct qp *q, uint32_t pipeline, struct rte_mbuf *m)
{
	struct burst *b = burst_at(q, q->head);
	int err;

	if (state != RTE_APIR_RUNNING)
		return ENODEV;
	if (q->gathering && (q->pipeline != pipeline || b->segs + m->nb_segs > fake_conf.max_segs))
		submit(q);
	if (!q->gathering) {
		if (q->head - q->tail == fake_conf.nb_bursts)
			return EAGAIN;
		b = burst_at(q, q->head);
		memset(b, 0, sizeof(*b));
		q->pipeline = pipeline;
	}
	err = refuse(m);
	if (err != 0)
		return err;
	q->gathering = true;
	b->pkts[b->nb++] = m;
	b->segs += m->nb_segs;
	if (b->nb == fake_conf.max_burst)
		submit(q);
	return 0;
}

uint16_t
rte_apir_gather(uint16_t dev_id __rte_unused, uint16_t qp_id, uint32_t pipeline,
		struct rte_mbuf **pkts, uint16_t nb_pkts)
{
	uint16_t i;
	int err;

	pthread_mutex_lock(&lock);
	for (i = 0; i < nb_pkts; i++) {
		err = gather_one(&qps[qp_id], pipeline, pkts[i]);
		if (err != 0) {
			rte_errno = err;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
	return i;
}

uint16_t
rte_apir_submit(uint16_t dev_id __rte_unused, uint16_t qp_id)
{
	struct qp *q = &qps[qp_id];
	uint16_t n = 0;

	pthread_mutex_lock(&lock);
	if (q->gathering && state == RTE_APIR_RUNNING) {
		n = (uint16_t)burst_at(q, q->head)->nb;
		submit(q);
	}
	pthread_mutex_unlock(&lock);
	return n;
}

uint16_t
rte_apir_gathered(uint16_t dev_id __rte_unused, uint16_t qp_id)
{
	struct qp *q = &qps[qp_id];
	uint16_t n;

	pthread_mutex_lock(&lock);
	n = q->gathering ? (uint16_t)burst_at(q, q->head)->nb : 0;
	pthread_mutex_unlock(&lock);
	return n;
}

uint16_t
rte_apir_in_flight(uint16_t dev_id __rte_unused, uint16_t qp_id)
{
	uint16_t n;

	pthread_mutex_lock(&lock);
	n = (uint16_t)(qps[qp_id].head - qps[qp_id].tail);
	pthread_mutex_unlock(&lock);
	return n;
}

static struct rte_apir_verdict
verdict_of(struct qp *q, const struct burst *b, struct rte_mbuf *m)
{
	const struct rte_apir_verdict failed = {
		.action = RTE_APIR_ACTION_ERROR,
		.port = b->complete ? b->status : LOST,
	};

	if (!b->complete || b->status != 0)
		return failed;
	return fake_verdict == NULL ? (struct rte_apir_verdict){0} : fake_verdict(q->dequeued, m);
}

uint16_t
rte_apir_dequeue_burst(uint16_t dev_id __rte_unused, uint16_t qp_id, struct rte_mbuf **pkts,
		       struct rte_apir_verdict *verdicts, uint16_t nb_pkts)
{
	struct qp *q = &qps[qp_id];
	uint16_t n = 0;

	pthread_mutex_lock(&lock);
	if (state == RTE_APIR_LOST && q->gathering)
		submit(q);
	while (n < nb_pkts && q->tail != q->head) {
		struct burst *b = burst_at(q, q->tail);

		if (!b->complete && state != RTE_APIR_LOST)
			break;
		verdicts[n] = verdict_of(q, b, b->pkts[b->off]);
		pkts[n++] = b->pkts[b->off++];
		q->dequeued++;
		if (b->off == b->nb) {
			q->tail++;
			q->stats.deq_bursts++;
		}
	}
	pthread_mutex_unlock(&lock);
	return n;
}

int
rte_apir_stats_get(uint16_t dev_id __rte_unused, uint16_t qp_id, struct rte_apir_stats *stats)
{
	pthread_mutex_lock(&lock);
	*stats = qps[qp_id].stats;
	pthread_mutex_unlock(&lock);
	return 0;
}

/* The test's side ----------------------------------------------------------- */

void
fake_complete(uint16_t qp_id, unsigned int n)
{
	struct qp *q = &qps[qp_id];
	unsigned int b;

	pthread_mutex_lock(&lock);
	for (b = q->tail; b != q->head && n > 0; b++) {
		if (burst_at(q, b)->complete)
			continue;
		burst_at(q, b)->complete = true;
		burst_at(q, b)->status = fake_status;
		n--;
	}
	pthread_mutex_unlock(&lock);
}

unsigned int
fake_submitted(uint16_t qp_id)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = qps[qp_id].head;
	pthread_mutex_unlock(&lock);
	return n;
}

unsigned int
fake_burst_pkts(uint16_t qp_id, unsigned int burst)
{
	return qps[qp_id].pkts_of[burst % MAX_EVER];
}

uint32_t
fake_burst_pipeline(uint16_t qp_id, unsigned int burst)
{
	return qps[qp_id].pipeline_of[burst % MAX_EVER];
}

void
fake_lose(void)
{
	pthread_mutex_lock(&lock);
	state = RTE_APIR_LOST;
	pthread_mutex_unlock(&lock);
	if (lost_cb != NULL)
		lost_cb(DEV_ID, lost_arg);
}

void
fake_hang(bool hung)
{
	pthread_mutex_lock(&lock);
	state = hung ? RTE_APIR_HUNG : RTE_APIR_RUNNING;
	pthread_mutex_unlock(&lock);
}
