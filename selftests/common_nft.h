/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rules of nftables in the namespace where the caller is, the receiver's as a rule.
 * What is there ends with the case. A kernel without nftables, or without what a
 * rule asks for, skips the case.
 */
#ifndef SELFTESTS_COMMON_NFT_H
#define SELFTESTS_COMMON_NFT_H

/* An empty table "t" for the packets of @family; again: for another one, too. */
void nft_table(int family);

/* nft add @what FAMILY t ..., e.g. nft_add(AF_INET, "rule", "in tcp dport 80 drop"). */
void nft_add(int family, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The table goes, with all that is in it. */
void nft_delete(int family);

/* The kernel forgets all connections that its tracking knows. */
void nft_forget_connections(void);

#endif /* SELFTESTS_COMMON_NFT_H */
