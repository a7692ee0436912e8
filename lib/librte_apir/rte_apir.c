/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_malloc.h>

#include "apir_private.h"

/*
 * Entries are never freed: a call on a device that another thread has just closed finds a closed
 * device. The rest of an entry is made when it is first used.
 */
struct apir_dev apir_devs[RTE_APIR_MAX_DEVS] = {
	[0 ... RTE_APIR_MAX_DEVS - 1] =
		{
			.state = RTE_APIR_LOST,
			.lock = PTHREAD_MUTEX_INITIALIZER,
			.cb_lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP,
		},
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int nb_in_use;

/* The device table ---------------------------------------------------------- */

static int
entry_get(struct apir_dev **out)
{
	struct apir_dev *dev = NULL;
	uint16_t i;
	int ret = 0;

	pthread_mutex_lock(&table_lock);
	for (i = 0; i < RTE_APIR_MAX_DEVS && dev == NULL; i++) {
		if (!apir_devs[i].in_use)
			dev = &apir_devs[i];
	}
	if (dev == NULL)
		ret = apir_err(ENOSPC, "%u devices are open, the most of one process: close one",
			       RTE_APIR_MAX_DEVS);
	else if (nb_in_use == 0)
		ret = apir_memory_init();
	if (ret == 0) {
		dev->id = (uint16_t)(dev - apir_devs);
		/* once for the life of the process: the transport's thread may post it late */
		if (!dev->made)
			sem_init(&dev->wake, 0, 0);
		dev->made = true;
		dev->in_use = true;
		nb_in_use++;
		*out = dev;
	}
	pthread_mutex_unlock(&table_lock);
	return ret;
}

static void
entry_put(struct apir_dev *dev)
{
	pthread_mutex_lock(&table_lock);
	dev->in_use = false;
	if (--nb_in_use == 0)
		apir_memory_fini();
	pthread_mutex_unlock(&table_lock);
}

struct apir_dev *
apir_dev_lock(uint16_t dev_id)
{
	apir_err_begin();
	if (dev_id < RTE_APIR_MAX_DEVS) {
		pthread_mutex_lock(&apir_devs[dev_id].lock);
		if (apir_devs[dev_id].open)
			return &apir_devs[dev_id];
		pthread_mutex_unlock(&apir_devs[dev_id].lock);
	}
	apir_err(ENODEV, "there is no device %u", dev_id);
	return NULL;
}

struct apir_dev *
apir_dev_lock_running(uint16_t dev_id)
{
	struct apir_dev *dev = apir_dev_lock(dev_id);
	int state;

	if (dev == NULL)
		return NULL;
	state = apir_dev_state(dev);
	if (state == RTE_APIR_RUNNING)
		return dev;
	if (state == RTE_APIR_HUNG)
		apir_err(ENODEV, "device %u: the back-end at %s hangs: end apird, then reconnect",
			 dev_id, dev->conf.path);
	else
		apir_err(ENODEV,
			 "device %u has lost its back-end at %s: rte_apir_reconnect() connects it "
			 "again",
			 dev_id, dev->conf.path);
	pthread_mutex_unlock(&dev->lock);
	return NULL;
}

void
apir_dev_unlock(struct apir_dev *dev)
{
	pthread_mutex_unlock(&dev->lock);
}

/* The service thread ---------------------------------------------------------- */

void
apir_dev_break(struct apir_dev *dev)
{
	int running = RTE_APIR_RUNNING;

	if (!atomic_compare_exchange_strong(&dev->state, &running, RTE_APIR_HUNG))
		return;
	atomic_store(&dev->break_it, true);
	sem_post(&dev->wake);
}

void
apir_dev_fail(struct apir_dev *dev)
{
	int running = RTE_APIR_RUNNING;

	if (!atomic_compare_exchange_strong(&dev->state, &running, RTE_APIR_HUNG))
		return;
	apir_link_stop(dev, true);
}

/* Returns true when it is time to ask whether the back-end lives. */
static bool
wait_for_work(struct apir_dev *dev)
{
	const int ms = apir_link_probe_ms(dev);
	struct timespec until;
	int ret;

	if (ms == 0) {
		while (sem_wait(&dev->wake) != 0)
			;
		return false;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	do {
		ret = sem_clockwait(&dev->wake, CLOCK_MONOTONIC, &until);
	} while (ret != 0 && errno == EINTR);
	return ret != 0;
}

/* What must not be done in the data path nor in the transport's thread. */
static void *
serve(void *arg)
{
	struct apir_dev *dev = arg;

	for (;;) {
		const bool probe = wait_for_work(dev);

		if (atomic_load(&dev->quit))
			return NULL;
		if (probe)
			apir_link_probe(dev);
		if (atomic_exchange(&dev->break_it, false)) {
			pthread_mutex_lock(&dev->lock);
			if (dev->open && apir_dev_state(dev) == RTE_APIR_HUNG)
				apir_link_stop(dev, true);
			pthread_mutex_unlock(&dev->lock);
		}
		if (atomic_exchange(&dev->tell, false)) {
			pthread_mutex_lock(&dev->cb_lock);
			if (dev->cb != NULL)
				dev->cb(dev->id, dev->cb_arg);
			pthread_mutex_unlock(&dev->cb_lock);
		}
	}
}

static int
service_start(struct apir_dev *dev)
{
	sigset_t all, old;
	int ret;

	atomic_store(&dev->quit, false);
	atomic_store(&dev->tell, false);
	atomic_store(&dev->break_it, false);
	/* signals are the application's */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = pthread_create(&dev->service, NULL, serve, dev);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret != 0)
		return apir_err(ret, "no thread for device %u: %s", dev->id, strerror(ret));
	pthread_setname_np(dev->service, "apir-service");
	return 0;
}

static void
service_stop(struct apir_dev *dev)
{
	atomic_store(&dev->quit, true);
	sem_post(&dev->wake);
	pthread_join(dev->service, NULL);
}

/* Open, close, reconnect ------------------------------------------------------ */

static int
create_queues(struct apir_dev *dev)
{
	uint16_t i;
	int ret;

	ret = apir_vq_create_ctl(&dev->env, &dev->ctl_vq);
	if (ret != 0)
		return apir_err_core(ret, "no control queue: %s", strerror(-ret));
	for (i = 0; ret == 0 && i < dev->conf.nb_queue_pairs; i++)
		ret = apir_qp_create(dev, i);
	return ret;
}

static void
destroy_queues(struct apir_dev *dev)
{
	uint16_t i;

	for (i = 0; i < APIR_MAX_DATA_QUEUES; i++)
		apir_qp_destroy(dev, i);
	apir_vq_destroy(dev->ctl_vq);
	dev->ctl_vq = NULL;
	rte_free(dev->bounce);
	dev->bounce = NULL;
}

/* Everything of an entry whose device has let go of our memory. */
static void
tear_down(struct apir_dev *dev)
{
	apir_link_down(dev);
	apir_pci_release(dev->pci);
	dev->pci = NULL;
	destroy_queues(dev);
	atomic_store(&dev->state, RTE_APIR_LOST);
}

static int
set_up(struct apir_dev *dev)
{
	int ret;

	dev->pci = NULL;
	dev->hello_ms = dev->conf.timeout_ms;
	ret = apir_link_choose(dev);
	if (ret != 0)
		return ret;
	if (dev->conf.pci)
		apir_iova_env(dev);
	else
		apir_memory_env(dev);
	/* first, because queues must fit the device's limits; it sees nothing of them yet */
	ret = apir_link_open(dev);
	if (ret == 0)
		ret = create_queues(dev);
	if (ret == 0)
		ret = service_start(dev);
	if (ret != 0) {
		tear_down(dev);
		return ret;
	}
	ret = apir_link_up(dev);
	if (ret == 0)
		return 0;
	service_stop(dev);
	if (apir_link_stop(dev, false) == 0) {
		tear_down(dev);
		return ret;
	}
	/*
	 * The back-end hangs and may write to the queues whenever it goes on: they cannot be freed
	 * before it dies.
	 */
	atomic_store(&dev->zombie, true);
	return ret;
}

/* Free what devices that never opened had to leave behind. */
static void
reap(void)
{
	unsigned int i;

	for (i = 0; i < RTE_APIR_MAX_DEVS; i++) {
		struct apir_dev *dev = &apir_devs[i];
		bool done = false;

		if (!atomic_load(&dev->zombie))
			continue;
		pthread_mutex_lock(&dev->lock);
		if (atomic_load(&dev->zombie) && apir_link_stop(dev, false) == 0) {
			tear_down(dev);
			atomic_store(&dev->zombie, false);
			done = true;
		}
		pthread_mutex_unlock(&dev->lock);
		if (done)
			entry_put(dev);
	}
}

int
rte_apir_open(const struct rte_apir_conf *conf, uint16_t *dev_id)
{
	struct apir_conf checked;
	struct apir_dev *dev;
	bool zombie;
	int ret;

	apir_err_begin();
	ret = apir_conf_check(conf, &checked);
	if (ret != 0)
		return ret;
	if (dev_id == NULL)
		return apir_err(EINVAL, "rte_apir_open() without a place for the device's number");
	reap();
	ret = entry_get(&dev);
	if (ret != 0)
		return ret;
	pthread_mutex_lock(&dev->lock);
	dev->conf = checked;
	ret = set_up(dev);
	if (ret == 0) {
		dev->open = true;
		apir_link_run(dev);
		*dev_id = dev->id;
	}
	zombie = atomic_load(&dev->zombie);
	pthread_mutex_unlock(&dev->lock);
	if (ret != 0 && !zombie)
		entry_put(dev);
	return ret;
}

int
rte_apir_close(uint16_t dev_id)
{
	struct apir_dev *dev = apir_dev_lock(dev_id);
	int ret;

	if (dev == NULL)
		return -ENODEV;
	ret = apir_link_stop(dev, false);
	if (ret != 0) {
		ret = apir_err(EBUSY,
			       "device %u: the back-end at %s hangs and still owns the packets it "
			       "was given: end "
			       "apird and close again",
			       dev_id, dev->conf.path);
		apir_dev_unlock(dev);
		return ret;
	}
	dev->open = false;
	apir_dev_unlock(dev);

	service_stop(dev);
	pthread_mutex_lock(&dev->cb_lock);
	dev->cb = NULL;
	pthread_mutex_unlock(&dev->cb_lock);
	pthread_mutex_lock(&dev->lock);
	apir_qp_hold_all(dev);
	tear_down(dev);
	pthread_mutex_unlock(&dev->lock);
	entry_put(dev);
	return 0;
}

static bool
all_idle(struct apir_dev *dev)
{
	uint16_t i;

	for (i = 0; i < dev->conf.nb_queue_pairs; i++) {
		if (!apir_qp_idle(atomic_load(&dev->qps[i])))
			return false;
	}
	return true;
}

static int
connect_again(struct apir_dev *dev)
{
	uint16_t i;
	int ret;

	if (!all_idle(dev))
		return apir_err(EAGAIN, "device %u has packets in flight: dequeue them first",
				dev->id);
	apir_link_down(dev);
	for (i = 0; i < dev->conf.nb_queue_pairs; i++)
		apir_qp_reset(atomic_load(&dev->qps[i]));
	apir_vq_reset(dev->ctl_vq);
	ret = apir_link_open(dev);
	if (ret == 0)
		ret = apir_link_up(dev);
	if (ret == 0) {
		apir_link_run(dev);
		return 0;
	}
	if (apir_link_stop(dev, false) == 0)
		apir_link_down(dev);
	return ret;
}

int
rte_apir_reconnect(uint16_t dev_id)
{
	struct apir_dev *dev = apir_dev_lock(dev_id);
	int ret;

	if (dev == NULL)
		return -ENODEV;
	if (apir_dev_state(dev) == RTE_APIR_RUNNING) {
		ret = apir_err(EALREADY, "device %u is not lost", dev_id);
	} else if (apir_link_stop(dev, false) != 0) {
		ret = apir_err(EBUSY, "device %u: the back-end at %s hangs: end apird first",
			       dev_id, dev->conf.path);
	} else {
		apir_qp_hold_all(dev);
		/* callers repeat this until it works: the text is for them to log, once */
		apir_err_quiet(true);
		ret = connect_again(dev);
		apir_err_quiet(false);
		apir_qp_drop_all(dev);
	}
	apir_dev_unlock(dev);
	return ret;
}

/* State and statistics --------------------------------------------------------- */

enum rte_apir_state
rte_apir_state(uint16_t dev_id)
{
	if (dev_id >= RTE_APIR_MAX_DEVS)
		return RTE_APIR_LOST;
	return (enum rte_apir_state)apir_dev_state(&apir_devs[dev_id]);
}

int
rte_apir_lost_callback_set(uint16_t dev_id, rte_apir_lost_cb cb, void *arg)
{
	struct apir_dev *dev;

	apir_err_begin();
	/* not the device's lock: a callback that is running may wait for it */
	if (dev_id >= RTE_APIR_MAX_DEVS || atomic_load(&apir_devs[dev_id].qps[0]) == NULL)
		return apir_err(ENODEV, "there is no device %u", dev_id);
	dev = &apir_devs[dev_id];
	pthread_mutex_lock(&dev->cb_lock);
	dev->cb = cb;
	dev->cb_arg = arg;
	pthread_mutex_unlock(&dev->cb_lock);
	return 0;
}

static void
read_counters(struct apir_qp *qp, struct rte_apir_stats *s)
{
	*s = (struct rte_apir_stats){
		.enq_bursts = atomic_load_explicit(&qp->enq_bursts, memory_order_relaxed),
		.enq_pkts = atomic_load_explicit(&qp->enq_pkts, memory_order_relaxed),
		.deq_bursts = atomic_load_explicit(&qp->deq_bursts, memory_order_relaxed),
		.deq_pkts = atomic_load_explicit(&qp->deq_pkts, memory_order_relaxed),
		.dropped = atomic_load_explicit(&qp->dropped, memory_order_relaxed),
		.errors = atomic_load_explicit(&qp->errors, memory_order_relaxed),
		.refused = atomic_load_explicit(&qp->refused, memory_order_relaxed),
		.copied_bytes = atomic_load_explicit(&qp->copied_bytes, memory_order_relaxed),
		.kicks = atomic_load_explicit(&qp->kicks, memory_order_relaxed),
		.timeouts = atomic_load_explicit(&qp->timeouts, memory_order_relaxed),
	};
}

/* The queue pair of an open device, whose lock is then held. */
static int
lock_qp(uint16_t dev_id, uint16_t qp_id, struct apir_dev **dev, struct apir_qp **qp)
{
	*dev = apir_dev_lock(dev_id);
	if (*dev == NULL)
		return -ENODEV;
	if (qp_id < (*dev)->conf.nb_queue_pairs) {
		*qp = atomic_load(&(*dev)->qps[qp_id]);
		return 0;
	}
	apir_err(EINVAL, "device %u has queue pairs 0..%u, and no %u", dev_id,
		 (*dev)->conf.nb_queue_pairs - 1, qp_id);
	apir_dev_unlock(*dev);
	return -EINVAL;
}

int
rte_apir_stats_get(uint16_t dev_id, uint16_t qp_id, struct rte_apir_stats *stats)
{
	struct apir_dev *dev;
	struct apir_qp *qp;
	const int ret = lock_qp(dev_id, qp_id, &dev, &qp);

	if (ret != 0)
		return ret;
	if (stats == NULL) {
		apir_dev_unlock(dev);
		return apir_err(EINVAL, "rte_apir_stats_get() without a place for the counters");
	}
	read_counters(qp, stats);
	stats->enq_bursts -= qp->base.enq_bursts;
	stats->enq_pkts -= qp->base.enq_pkts;
	stats->deq_bursts -= qp->base.deq_bursts;
	stats->deq_pkts -= qp->base.deq_pkts;
	stats->dropped -= qp->base.dropped;
	stats->errors -= qp->base.errors;
	stats->refused -= qp->base.refused;
	stats->copied_bytes -= qp->base.copied_bytes;
	stats->kicks -= qp->base.kicks;
	stats->timeouts -= qp->base.timeouts;
	apir_dev_unlock(dev);
	return 0;
}

int
rte_apir_stats_reset(uint16_t dev_id, uint16_t qp_id)
{
	struct apir_dev *dev;
	struct apir_qp *qp;
	const int ret = lock_qp(dev_id, qp_id, &dev, &qp);

	if (ret != 0)
		return ret;
	/* the data path alone writes counters: zero is what they are now */
	read_counters(qp, &qp->base);
	apir_dev_unlock(dev);
	return 0;
}
