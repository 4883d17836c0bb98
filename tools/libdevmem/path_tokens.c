// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns what paths share whose tokens are the kernel's: recvmsg() gives them out,
 * SO_DEVMEM_DONTNEED takes them back. Must not know how payload gets into the buffer.
 */
#include "internal.h"

ssize_t devmem_token_path_recv(struct devmem_conn *conn, struct devmem_msg *msg, size_t most,
			       unsigned int flags)
{
	return devmem_recv_most(conn->sock, msg, most, flags);
}

int devmem_token_path_release(struct devmem_conn *conn, uint32_t token)
{
	return devmem_tokens_add(conn->tokens, token);
}

int devmem_token_path_flush(struct devmem_conn *conn)
{
	return devmem_tokens_flush(conn->tokens);
}

void devmem_token_path_detach(struct devmem_conn *conn)
{
	devmem_tokens_free(conn->tokens);
}

void devmem_token_path_stats(const struct devmem_conn *conn, struct devmem_conn_stats *stats)
{
	stats->released = devmem_tokens_released(conn->tokens);
	stats->pending = devmem_tokens_pending(conn->tokens);
	stats->release_calls = devmem_tokens_calls(conn->tokens);
}
