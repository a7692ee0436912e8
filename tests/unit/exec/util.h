/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef TEST_EXEC_UTIL_H
#define TEST_EXEC_UTIL_H

/** What the tests of the executor share: a device, guest memory, packets in it, and a burst run to its end. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "exec.h"

#define T_PKTS	  128u	/* most packets of a burst */
#define T_SEGS	  256u	/* most segments after the first ones */
#define T_STRIDE  2432u /* bytes between packets, as in an mbuf pool */
#define T_SESSION 7u

/** A device opened for a group of tests. */
struct t_env {
	const struct exec_ops *ops;
	struct exec_dev *dev;
	struct exec_queue *queue;
	uint8_t *mem[2]; /**< guest memory: two regions of T_MEM bytes */
	struct apir_verdict *verdicts;
};

#define T_MEM (T_PKTS * T_STRIDE * 2)

/** The last lines the executor logged, joined. */
extern char t_log_text[8192];
void t_log(int level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** No NVIDIA GPU for device "cuda" (the executor) or "nvidia"? Says why; the test exits with 77. */
bool t_skip(const char *device);
/** Configuration with the tests' limits. */
struct exec_config t_config(const char *device, const char *mode);
/** Open, with a queue and memory; fails the test if it cannot. */
void t_open(struct t_env *t, const struct exec_config *cfg);
void t_close(struct t_env *t);

/** A whole file. The caller frees. */
char *t_file(const char *dir, const char *name);
/** A program that builds, its kernel, a pipeline of one. Fail the test otherwise. */
struct exec_program *t_program(struct t_env *t, const char *source);
struct exec_kernel *t_kernel(struct t_env *t, struct exec_program *p, const char *name,
			     uint32_t nb_args);
struct exec_pipeline *t_pipeline(struct t_env *t, struct exec_kernel *k, bool group,
				 uint32_t local);
void t_value(struct t_env *t, struct exec_kernel *k, uint32_t index, const void *value,
	     size_t size);
#define t_uint(t, k, index, v) t_value(t, k, index, &(uint32_t){v}, sizeof(uint32_t))

/** Where packet i lies: by turns in both regions. */
uint8_t *t_packet(struct t_env *t, unsigned int i);
/** A burst of nb one-segment packets of len bytes each, ready to submit. */
struct exec_burst *t_burst(struct t_env *t, unsigned int nb, unsigned int len);
/** Submit and wait: the burst, complete. */
struct exec_burst *t_run(struct t_env *t, struct exec_pipeline *p, struct exec_burst *b);
/** The same, and its status must be OK. */
struct exec_burst *t_run_ok(struct t_env *t, struct exec_pipeline *p, struct exec_burst *b);

#define assert_status(expected, got, err)                                            \
	do {                                                                         \
		enum apir_status s_ = (got);                                         \
		if (s_ != (expected))                                                \
			fail_msg("status %d, not %d: %s", s_, expected, (err).text); \
	} while (0)
#define assert_text(text, part)                                         \
	do {                                                            \
		if (strstr((text), (part)) == NULL)                     \
			fail_msg("'%s' does not say '%s'", text, part); \
	} while (0)

#endif /* TEST_EXEC_UTIL_H */
