// SPDX-License-Identifier: GPL-2.0
/*
 * Owns what "ncdevmem listen" tells: progress on a terminal, the closing
 * summary, JSON. Must not know how the figures came about.
 */
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "listen.h"

void nd_report_add(struct nd_report *r, const struct nd_rx *rx)
{
	r->sum.placed += rx->stats.placed;
	r->sum.fallback += rx->stats.fallback;
	r->sum.pieces += rx->stats.pieces;
	r->sum.fallback_pieces += rx->stats.fallback_pieces;
	r->sum.lost += rx->stats.lost;
	r->sum.tokens += rx->stats.tokens;
	r->sum.recv_calls += rx->stats.recv_calls;
	r->sum.release_calls += rx->stats.release_calls;
	r->attached += rx->attached;
	r->interrupted |= rx->interrupted;
	if (rx->end > r->end)
		r->end = rx->end;
	/* A wrong byte outweighs everything else. */
	if (rx->ret != ND_OK && r->ret != ND_MISMATCH)
		r->ret = rx->ret;
}

static double nd_rate(uint64_t bytes, double seconds)
{
	return seconds > 0 ? (double)bytes / seconds : 0;
}

void nd_report_progress(const struct nd_report *r, uint64_t bytes,
			unsigned int active)
{
	double seconds = nd_now() - r->begin;
	char text[ND_BYTES_LEN], rate[ND_BYTES_LEN];

	fprintf(stderr, "\r\033[K%s, %s/s, %u connection%s",
		nd_bytes(text, bytes),
		nd_bytes(rate, (uint64_t)nd_rate(bytes, seconds)), active,
		active == 1 ? "" : "s");
	fflush(stderr);
}

static const char *nd_verdict(const struct nd_report *r,
			      const struct nd_rx_config *cfg)
{
	if (!cfg->verify)
		return "not asked for";
	if (r->ret == ND_MISMATCH)
		return "NO, bytes differ";
	if (!(r->sum.placed + r->sum.fallback))
		return "no, nothing came";
	return r->ret == ND_OK ? "yes" : "as far as it went";
}

static void nd_report_text(const struct nd_report *r,
			   const struct nd_rx_config *cfg, double seconds,
			   FILE *f)
{
	bool copied = devmem_rx_via(cfg->binding->rx) == DEVMEM_VIA_COPY;
	uint64_t total = r->sum.placed + r->sum.fallback;
	char text[ND_BYTES_LEN], rate[ND_BYTES_LEN];
	double share = total ? 100.0 * (double)r->sum.placed / (double)total
			     : 0;

	fprintf(f, "received  %" PRIu64 " bytes (%s) in %.3f s, %s/s\n", total,
		nd_bytes(text, total), seconds,
		nd_bytes(rate, (uint64_t)nd_rate(total, seconds)));
	fprintf(f, "%s    %" PRIu64 " bytes (%.3f %%) in %s, %" PRIu64 " fell back to host memory\n",
		copied ? "copied" : "placed", r->sum.placed, share,
		copied ? "the buffer" : "device memory", r->sum.fallback);
	fprintf(f, "pieces    %" PRIu64 " in device memory, %" PRIu64 " in host memory\n",
		r->sum.pieces, r->sum.fallback_pieces);
	fprintf(f, "tokens    %" PRIu64 " given back\n", r->sum.tokens);
	fprintf(f, "calls     %" PRIu64 " to receive, %" PRIu64 " to give tokens back\n",
		r->sum.recv_calls, r->sum.release_calls);
	fprintf(f, "streams   %" PRIu64 ", of them attached %" PRIu64 "%s\n",
		r->connections, r->attached,
		r->interrupted ? " (interrupted)" : "");
	fprintf(f, "verified  %s\n", nd_verdict(r, cfg));
}

static void nd_report_json(const struct nd_report *r,
			   const struct nd_rx_config *cfg, double seconds,
			   FILE *f)
{
	struct nd_json j = { .f = f };

	nd_json_open(&j, NULL, '{');
	nd_json_uint(&j, "bytes_total", r->sum.placed + r->sum.fallback);
	nd_json_uint(&j, "bytes_placed", r->sum.placed);
	nd_json_uint(&j, "bytes_fallback", r->sum.fallback);
	nd_json_uint(&j, "pieces", r->sum.pieces);
	nd_json_uint(&j, "pieces_fallback", r->sum.fallback_pieces);
	nd_json_uint(&j, "bytes_lost", r->sum.lost);
	nd_json_uint(&j, "tokens", r->sum.tokens);
	nd_json_uint(&j, "recv_calls", r->sum.recv_calls);
	nd_json_uint(&j, "release_calls", r->sum.release_calls);
	nd_json_uint(&j, "connections", r->connections);
	nd_json_uint(&j, "attached", r->attached);
	nd_json_seconds(&j, "seconds", seconds);
	if (cfg->verify)
		nd_json_bool(&j, "verified", r->ret == ND_OK &&
			     r->sum.placed + r->sum.fallback > 0);
	else
		nd_json_null(&j, "verified");
	nd_json_bool(&j, "interrupted", r->interrupted);
	nd_json_uint(&j, "exit_status", r->ret);
	nd_binding_json(cfg->binding, &j);
	nd_json_close(&j, '}');
	putc('\n', f);
}

/* Return: the exit status of the command. */
int nd_report_print(const struct nd_report *r, const struct nd_rx_config *cfg,
		    bool json)
{
	double seconds = r->end > r->begin ? r->end - r->begin : 0;
	FILE *f = cfg->output == STDOUT_FILENO ? stderr : stdout;

	if (isatty(STDERR_FILENO))
		fputs("\r\033[K", stderr);
	if (json)
		nd_report_json(r, cfg, seconds, f);
	else
		nd_report_text(r, cfg, seconds, f);
	if (fflush(f) || ferror(f)) {
		nd_err("summary: write error");
		if (!r->ret)
			return ND_FAIL;
	}
	return r->ret;
}
