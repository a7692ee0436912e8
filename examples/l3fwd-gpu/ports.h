/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef L3FWD_PORTS_H
#define L3FWD_PORTS_H

#include <stddef.h>

#include "app.h"

/* Each returns 0 or -1 with err set. */

/* Find the ports of the mask and give each rx queue to an lcore if --config has not. */
int ports_find(struct app *app, char *err, size_t err_len);
/* With the workers made: configure and start all, and fill the port table. */
int ports_start(struct app *app, char *err, size_t err_len);
/* Stop and close what was started; every mbuf in their rings comes back. */
void ports_stop(struct app *app);

#endif /* L3FWD_PORTS_H */
