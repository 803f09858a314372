// SPDX-License-Identifier: BSD-2-Clause
// The files of a TLS configuration, read and checked.
#ifndef TP_NET_TLS_FILES_H
#define TP_NET_TLS_FILES_H

#include <openssl/x509.h>

#include "net/tls.h"

struct tls_identity {
    X509 *certificate;
    STACK_OF(X509) * chain;
    EVP_PKEY *key;
};

// where: what the configuration calls this pair ("tls", "tls.additional[0]"). 0, -ENOMEM or
// -EINVAL with why. Release *out in every case.
int tls_identity_read(struct tls_identity *out, const struct tls_pair *pair, const char *where,
                      char why[TLS_WHY_MAX]);
void tls_identity_release(struct tls_identity *id);

// What certificates of clients are checked with.
struct tls_client_ca {
    X509_STORE *store;
    STACK_OF(X509_NAME) * names; // for the clients
};

// Reads a PEM file of them; key: what the configuration calls it ("tls.client_ca"). The same.
int tls_client_ca_read(struct tls_client_ca *out, const char *path, const char *key,
                       char why[TLS_WHY_MAX]);
void tls_client_ca_release(struct tls_client_ca *ca);

#endif
