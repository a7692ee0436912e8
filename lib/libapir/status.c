/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

#include <errno.h>
#include <stddef.h>

#include "apir_ctl_client.h"

static const struct {
	int err;
	const char *text;
} status_tab[] = {
	[APIR_S_OK] = {0, "success"},
	[APIR_S_MALFORMED] = {EBADMSG, "the request breaks the contract's layout"},
	[APIR_S_FAULT] = {EFAULT, "an address lies outside the memory shared with the device"},
	[APIR_S_NOENT] = {ENOENT, "no object of that id"},
	[APIR_S_TOOBIG] = {E2BIG, "a count or length is above the device's limit"},
	[APIR_S_DEVICE] = {EIO, "the device failed while running the kernel"},
	[APIR_S_TIMEOUT] = {ETIMEDOUT, "the kernel ran longer than the device allows"},
	[APIR_S_NOMEM] = {ENOMEM, "out of device memory, or above the quota"},
	[APIR_S_VERSION] = {EPROTONOSUPPORT, "no common version of the contract"},
	[APIR_S_SESSIONS] = {EBUSY, "the back-end already serves its most sessions"},
	[APIR_S_NOTREADY] = {EAGAIN, "HELLO has not succeeded yet"},
	[APIR_S_BUILD] = {ENOEXEC, "the program does not build; its log says why"},
	[APIR_S_INVAL] = {EINVAL, "an argument is out of range or of the wrong kind"},
	[APIR_S_LIMIT] = {ENOSPC, "too many objects of this kind"},
	[APIR_S_UNSUPPORTED] = {ENOTSUP, "the device does not know this request"},
	[APIR_S_BUSY] = {EBUSY, "the object is in use"},
	[APIR_S_NOARG] = {ENOMSG, "a kernel has an argument that was never set"},
	[APIR_S_LOST] = {ENODEV, "the device went before it answered"},
};

int
apir_status_errno(uint32_t status)
{
	if (status < sizeof(status_tab) / sizeof(status_tab[0]) && status_tab[status].text != NULL)
		return status_tab[status].err;
	return EPROTO;
}

const char *
apir_status_str(uint32_t status)
{
	if (status < sizeof(status_tab) / sizeof(status_tab[0]) && status_tab[status].text != NULL)
		return status_tab[status].text;
	return "a status this driver does not know";
}

int
apir_clnt_errno(enum clnt_stat st)
{
	switch (st) {
	case RPC_SUCCESS:
		return 0;
	case RPC_TIMEDOUT:
	case RPC_CANTSEND: /* the queue is held by a request that timed out */
		return ETIMEDOUT;
	case RPC_CANTRECV:
		return ENODEV;
	case RPC_CANTENCODEARGS:
		return E2BIG;
	case RPC_CANTDECODEARGS:
		return EBADMSG;
	case RPC_CANTDECODERES:
		return EPROTO;
	case RPC_VERSMISMATCH:
	case RPC_PROGVERSMISMATCH:
		return EPROTONOSUPPORT;
	case RPC_PROGUNAVAIL:
	case RPC_PROCUNAVAIL:
		return ENOTSUP;
	case RPC_AUTHERROR:
		return EACCES;
	default:
		return EIO;
	}
}
