/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#ifndef APIR_CL_NOTICE_H
#define APIR_CL_NOTICE_H

/** @file What the worker tells a program without being asked (WaitNotice); for both sides. */

enum cl_notice {
	CL_NOTICE_NONE = 0, /**< notices have been stopped */
	CL_NOTICE_EVENT, /**< an event reached a status: token of SetEventCallback, value is the status */
	CL_NOTICE_BUILD, /**< a build, compilation or link is done: its token; value is its result */
	CL_NOTICE_CONTEXT, /**< an error in a context: its token, text is what the host's runtime said */
};

/** Most notices that wait to be fetched; more are dropped, and the worker says so in the log. */
#define CL_NOTICE_MAX 4096

#endif /* APIR_CL_NOTICE_H */
