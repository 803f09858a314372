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

// The certificates of a PEM file to check those of clients with, and their names. The same.
int tls_client_ca_read(X509_STORE **store, STACK_OF(X509_NAME) * *names, const char *path,
                       char why[TLS_WHY_MAX]);

#endif
