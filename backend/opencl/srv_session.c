/* SPDX-License-Identifier: BSD-3-Clause
 * Copyright (c) 2026 The apir authors
 */

/* The session: its beginning, what the worker has to tell, and what kernels have printed. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cl_dispatch.h"
#include "device.h"

#define LOWER_ALIGN (2ull << 20)
#define LOWER_MAX   (4ull << 30)
#define PAGE	    4096u

/* A second mapping of the arena where the program has it; NULL: there is something else. */
static uint8_t *
map_at(const struct shared *sh, const struct mem_region *r, uint64_t addr, uint64_t size,
       uint64_t base)
{
	const size_t i = (size_t)(r - sh->mem->r);
	const uint64_t offset = sh->fd_offset[i] + (addr - r->gpa);
	uint64_t page = PAGE;
	struct stat st;
	void *p;

	if (fstat(sh->region_fd[i], &st) == 0 && st.st_blksize > PAGE)
		page = (uint64_t)st.st_blksize;
	if (base == 0 || base % page != 0 || offset % page != 0 || size % page != 0 ||
	    base + size < base)
		return NULL;
	p = mmap((void *)(uintptr_t)base, size, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, sh->region_fd[i], (off_t)offset);
	if (p == MAP_FAILED)
		return NULL;
	if ((uintptr_t)p != base) {
		munmap(p, size);
		return NULL;
	}
	madvise(p, size, MADV_DONTFORK);
	return p;
}

/* What the program keeps of its arena for itself: bulk data on its way. */
static uint64_t
lower_part(const struct shared *sh, uint64_t size)
{
	uint64_t lower = size / 4 < LOWER_MAX ? size / 4 : LOWER_MAX;

	lower = (lower + LOWER_ALIGN - 1) & ~(LOWER_ALIGN - 1);
	return !sh->unified || lower > size ? size : lower;
}

static cl_int
open_arena(struct shared *sh, uint64_t arena, uint64_t size, uint64_t base)
{
	const struct mem_region *r = size != 0 ? mem_find(sh->mem, arena, size) : NULL;
	uint8_t *va;

	if (r == NULL || arena % PAGE != 0 || size % PAGE != 0)
		return CL_INVALID_VALUE;
	va = map_at(sh, r, arena, size, base);
	sh->svm.caps = va != NULL ? device_svm(sh) : 0;
	if (va == NULL)
		va = r->va + (arena - r->gpa);
	return arena_open(&sh->arena, va, arena, size, lower_part(sh, size), sh->align) == 0
		       ? CL_SUCCESS
		       : CL_OUT_OF_HOST_MEMORY;
}

/* Under lock. */
static cl_int
open_session(struct srv *s, uint32_t version, uint64_t arena, uint64_t size, uint64_t base)
{
	struct shared *sh = s->sh;
	cl_int err;

	if (version != APIR_CL_VERSION) {
		log_limited(&sh->limit, LOG_WARNING,
			    "session %u: the guest's OpenCL driver speaks version %u of the calls, "
			    "this apird %u: "
			    "update the older one",
			    sh->session, version, APIR_CL_VERSION);
		return CL_INVALID_VALUE;
	}
	err = open_arena(sh, arena, size, base);
	if (err != CL_SUCCESS) {
		log_limited(&sh->limit, LOG_WARNING,
			    "session %u: the OpenCL program's memory for bulk data, %llu bytes at "
			    "0x%llx, is no use",
			    sh->session, (unsigned long long)size, (unsigned long long)arena);
		return err;
	}
	for (unsigned int i = 0; i < sh->mem->nb; i++)
		close(sh->region_fd[i]);
	return CL_SUCCESS;
}

cl_int
srv_Open(struct srv *s, uint32_t version, uint32_t pid, const char *name, uint64_t arena,
	 uint64_t arena_size, uint64_t base, cl_device_id *device, uint32_t *unified,
	 uint64_t *shared_at, uint64_t *svm)
{
	struct shared *sh = s->sh;
	cl_int err = CL_INVALID_OPERATION;

	pthread_mutex_lock(&sh->open);
	if (atomic_load(&sh->device_id) == 0)
		err = open_session(s, version, arena, arena_size, base);
	if (err == CL_SUCCESS) {
		/* One id more, which no program can release: that the session is open. */
		atomic_store(&sh->device_id, table_add(&sh->objects, CL_KIND_DEVICE, sh->device));
		*device = sh->device;
		*unified = sh->unified;
		*shared_at = sh->arena.shared < arena_size ? arena + sh->arena.shared : 0;
		*svm = sh->svm.caps;
		log_limited(&sh->limit, LOG_INFO,
			    "session %u: OpenCL program '%s' (process %u in the guest): %llu MiB "
			    "of memory shared%s",
			    sh->session, name, pid, (unsigned long long)(arena_size >> 20),
			    sh->unified ? ", buffers in it" : "");
	}
	pthread_mutex_unlock(&sh->open);
	return err;
}

cl_int
srv_WaitNotice(struct srv *s, uint32_t *what, uint64_t *token, int32_t *value, struct srv_out *text)
{
	struct notice *n = notice_wait(&s->sh->notices);
	size_t len;

	*what = CL_NOTICE_NONE;
	if (n == NULL)
		return CL_SUCCESS;
	*what = n->what;
	*token = n->token;
	*value = n->value;
	if (n->text != NULL) {
		len = strlen(n->text);
		srv_out_set(text, n->text, len < text->room ? len : text->room);
	}
	free(n);
	/* Whoever is told of a command's end sees what it printed. */
	s->waited = true;
	return CL_SUCCESS;
}

cl_int
srv_StopNotices(struct srv *s)
{
	notices_stop(&s->sh->notices);
	return CL_SUCCESS;
}

cl_int
srv_ReadOutput(struct srv *s, struct srv_out *text)
{
	text->len = output_take(&s->sh->output, text->p, text->room);
	return CL_SUCCESS;
}
