// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns one recvmsg(): its buffers, and the walk over the pieces it delivered, or
 * over what was received otherwise and is described in the same way. Must not know
 * which buffer the pieces lie in, nor what becomes of tokens.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct devmem_msg {
	struct msghdr hdr;
	struct iovec iov;
	size_t linear_size;
	size_t control_size;
	char *linear;
	char *control;

	unsigned int tokens;	/* that the last call gave out */

	/* the walk */
	struct cmsghdr *next;
	size_t linear_pos;
	size_t linear_end;	/* bytes written to @linear */
	size_t plain;		/* of those, not described by a control message */
};

int devmem_msg_alloc(struct devmem_msg **msg, size_t linear_size,
		     unsigned int nr_pieces, unsigned int flags)
{
	struct devmem_msg *m;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	if (!linear_size || !nr_pieces)
		return devmem_fail(EINVAL, "message of %zu bytes in %u pieces",
				   linear_size, nr_pieces);

	m = calloc(1, sizeof(*m));
	if (!m)
		return devmem_fail(ENOMEM, "out of memory");
	m->linear_size = linear_size;
	m->control_size = nr_pieces * CMSG_SPACE(sizeof(struct devmem_cmsg));
	m->linear = malloc(m->linear_size);
	m->control = calloc(1, m->control_size);
	if (!m->linear || !m->control) {
		devmem_msg_free(m);
		return devmem_fail(ENOMEM, "out of memory");
	}
	*msg = m;
	return 0;
}

void devmem_msg_free(struct devmem_msg *msg)
{
	if (!msg)
		return;
	free(msg->linear);
	free(msg->control);
	free(msg);
}

static bool devmem_cmsg_known(const struct cmsghdr *cmsg)
{
	return cmsg->cmsg_level == SOL_SOCKET &&
	       (cmsg->cmsg_type == SCM_DEVMEM_LINEAR ||
		cmsg->cmsg_type == SCM_DEVMEM_DMABUF);
}

/* Control messages are aligned for their header only: copy. False if @cmsg is
 * shorter than it must be; @dc is zero then, a piece of no bytes.
 */
static bool devmem_cmsg_get(const struct cmsghdr *cmsg, struct devmem_cmsg *dc)
{
	memset(dc, 0, sizeof(*dc));
	if (cmsg->cmsg_len < CMSG_LEN(sizeof(*dc)))
		return false;
	memcpy(dc, CMSG_DATA(cmsg), sizeof(*dc));
	return true;
}

void devmem_msg_rewind(struct devmem_msg *msg)
{
	msg->next = CMSG_FIRSTHDR(&msg->hdr);
	msg->linear_pos = 0;
}

/*
 * Compare the control messages with the @n bytes of recvmsg(). A socket that
 * is not attached delivers no control messages: one plain piece then.
 */
static ssize_t devmem_msg_account(struct devmem_msg *msg, size_t n,
				  unsigned int flags)
{
	size_t sum = 0, linear = 0;
	unsigned int tokens = 0;
	struct devmem_cmsg dc;
	bool any = false, whole = true;
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(&msg->hdr); cmsg;
	     cmsg = CMSG_NXTHDR(&msg->hdr, cmsg)) {
		if (!devmem_cmsg_known(cmsg))
			continue;
		whole &= devmem_cmsg_get(cmsg, &dc);
		any = true;
		sum += dc.frag_size;
		if (cmsg->cmsg_type == SCM_DEVMEM_LINEAR)
			linear += dc.frag_size;
		else if (dc.frag_size && !(dc.flags & DEVMEM_CMSG_LOST))
			tokens++;
	}

	msg->tokens = (flags & MSG_PEEK) ? 0 : tokens;
	msg->plain = 0;
	if (!any && !(flags & MSG_TRUNC))
		msg->plain = sum = linear = n;
	msg->linear_end = linear < msg->linear_size ? linear : msg->linear_size;

	if (flags & MSG_TRUNC ||
	    (whole && sum == n && linear <= msg->linear_size))
		return (ssize_t)n;
	return devmem_fail(EPROTO, "recvmsg returned %zu bytes, its control messages describe %zu, %zu of them in host memory%s%s",
			   n, sum, linear, whole ? "" : "; one is too short",
			   msg->hdr.msg_flags & MSG_CTRUNC ? " (truncated)" : "");
}

/* What is described is what was received: nothing yet. */
void devmem_msg_set_empty(struct devmem_msg *msg)
{
	memset(&msg->hdr, 0, sizeof(msg->hdr));
	msg->hdr.msg_control = msg->control;
	msg->plain = 0;
	msg->linear_end = 0;
	msg->tokens = 0;
	devmem_msg_rewind(msg);
}

void *devmem_msg_linear(struct devmem_msg *msg, size_t *size)
{
	*size = msg->linear_size;
	return msg->linear;
}

unsigned int devmem_msg_pieces(const struct devmem_msg *msg)
{
	return (unsigned int)(msg->control_size / CMSG_SPACE(sizeof(struct devmem_cmsg)));
}

void devmem_msg_set_linear(struct devmem_msg *msg, size_t size)
{
	devmem_msg_set_empty(msg);
	msg->plain = size;
	msg->linear_end = size;
}

bool devmem_msg_add_piece(struct devmem_msg *msg, const struct devmem_cmsg *dc)
{
	struct cmsghdr *cmsg = (void *)(msg->control + msg->hdr.msg_controllen);

	if (msg->control_size - msg->hdr.msg_controllen < CMSG_SPACE(sizeof(*dc)))
		return false;
	msg->hdr.msg_controllen += CMSG_SPACE(sizeof(*dc));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_DEVMEM_DMABUF;
	cmsg->cmsg_len = CMSG_LEN(sizeof(*dc));
	memcpy(CMSG_DATA(cmsg), dc, sizeof(*dc));
	msg->tokens++;
	devmem_msg_rewind(msg);
	return true;
}

unsigned int devmem_msg_tokens(const struct devmem_msg *msg)
{
	return msg->tokens;
}

ssize_t devmem_recv_most(int sock, struct devmem_msg *msg, size_t most,
			 unsigned int flags)
{
	ssize_t n;
	int err;

	devmem_msg_set_empty(msg);
	msg->iov.iov_base = msg->linear;
	msg->iov.iov_len = most < msg->linear_size ? most : msg->linear_size;
	msg->hdr.msg_iov = &msg->iov;
	msg->hdr.msg_iovlen = 1;
	msg->hdr.msg_controllen = msg->control_size;

	n = recvmsg(sock, &msg->hdr, (int)flags | MSG_SOCK_DEVMEM);
	if (n < 0) {
		err = errno;
		devmem_msg_set_empty(msg);
		return devmem_fail(err, "recvmsg: %s", strerror(err));
	}
	n = devmem_msg_account(msg, (size_t)n, flags);
	devmem_msg_rewind(msg);
	return n;
}

ssize_t devmem_recv(int sock, struct devmem_msg *msg, unsigned int flags)
{
	return devmem_recv_most(sock, msg, msg->linear_size, flags);
}

static void devmem_piece_linear(struct devmem_msg *msg, size_t size,
				struct devmem_piece *piece)
{
	/* Never beyond the buffer, whatever the control messages said. */
	if (size > msg->linear_end - msg->linear_pos)
		size = msg->linear_end - msg->linear_pos;
	memset(piece, 0, sizeof(*piece));
	piece->type = DEVMEM_PIECE_LINEAR;
	piece->size = (uint32_t)size;
	piece->data = msg->linear + msg->linear_pos;
	msg->linear_pos += size;
}

bool devmem_msg_next(struct devmem_msg *msg, struct devmem_piece *piece)
{
	struct devmem_cmsg dc;
	struct cmsghdr *cmsg;

	if (msg->plain && !msg->linear_pos) {
		devmem_piece_linear(msg, msg->plain, piece);
		return true;
	}

	while ((cmsg = msg->next)) {
		msg->next = CMSG_NXTHDR(&msg->hdr, cmsg);
		if (!devmem_cmsg_known(cmsg))
			continue;
		if (!devmem_cmsg_get(cmsg, &dc))
			continue;
		if (cmsg->cmsg_type == SCM_DEVMEM_LINEAR) {
			devmem_piece_linear(msg, dc.frag_size, piece);
			if (!piece->size)
				continue;
			return true;
		}
		piece->type = (dc.flags & DEVMEM_CMSG_LOST) ? DEVMEM_PIECE_LOST :
							      DEVMEM_PIECE_DMABUF;
		piece->dmabuf_id = dc.dmabuf_id;
		piece->token = dc.frag_token;
		piece->size = dc.frag_size;
		piece->offset = dc.frag_offset;
		piece->data = NULL;
		return true;
	}
	return false;
}

int devmem_msg_flags(const struct devmem_msg *msg)
{
	return msg->hdr.msg_flags;
}
