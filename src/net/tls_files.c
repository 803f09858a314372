// SPDX-License-Identifier: BSD-2-Clause
#include "net/tls_files.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <string.h>

#include "util/log.h"

static int refuse(char why[TLS_WHY_MAX], const char *where, const char *key, const char *path,
                  const char *reason)
{
    snprintf(why, TLS_WHY_MAX, "%s%s%s: %s: %s", where, *key ? "." : "", key, path, reason);
    ERR_clear_error();
    return -EINVAL;
}

static BIO *open_file(const char *path, const char *where, const char *key, char why[TLS_WHY_MAX])
{
    FILE *file = fopen(path, "re");
    if (!file) {
        snprintf(why, TLS_WHY_MAX, "%s%s%s: cannot read %s: %s", where, *key ? "." : "", key, path,
                 strerror(errno));
        return NULL;
    }
    BIO *bio = BIO_new_fp(file, BIO_CLOSE);
    if (!bio) {
        fclose(file);
        snprintf(why, TLS_WHY_MAX, "%s: out of memory", where);
    }
    return bio;
}

// The daemon has nobody to ask. Without this OpenSSL asks at the terminal.
static int no_pass_phrase(char *buf, int size, int writing, void *asked)
{
    *(bool *)asked = true;
    return -1;
}

// OpenSSL's word for what is wrong with a file that could be opened.
static const char *file_fault(const char *nothing_found)
{
    unsigned long e = ERR_peek_last_error();
    if (!e || ERR_GET_REASON(e) == ERR_R_UNSUPPORTED || // says the decoder of keys
        (ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE))
        return nothing_found;
    const char *reason = ERR_reason_error_string(e);
    return reason ? reason : nothing_found;
}

static int read_chain(struct tls_identity *out, BIO *bio, const char *path, const char *where,
                      char why[TLS_WHY_MAX])
{
    out->certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    if (!out->certificate)
        return refuse(why, where, "certificate", path,
                      file_fault("there is no certificate in PEM form in it"));
    out->chain = sk_X509_new_null();
    if (!out->chain)
        return -ENOMEM;
    for (;;) {
        X509 *next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (!next)
            break;
        if (!sk_X509_push(out->chain, next)) {
            X509_free(next);
            return -ENOMEM;
        }
    }
    unsigned long e = ERR_peek_last_error();
    if (ERR_GET_LIB(e) != ERR_LIB_PEM || ERR_GET_REASON(e) != PEM_R_NO_START_LINE)
        return refuse(why, where, "certificate", path,
                      file_fault("a certificate of its chain is damaged"));
    ERR_clear_error(); // that was the end of the file
    return 0;
}

static void warn_of_dates(const X509 *certificate, const char *where, const char *path)
{
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        log_warning("tls", "%s.certificate: %s: the certificate has expired", where, path);
    else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        log_warning("tls", "%s.certificate: %s: the certificate is not valid yet", where, path);
}

static int read_key(struct tls_identity *out, BIO *bio, const char *path, const char *where,
                    char why[TLS_WHY_MAX])
{
    bool asked = false;
    out->key = PEM_read_bio_PrivateKey(bio, NULL, no_pass_phrase, &asked);
    if (asked)
        return refuse(why, where, "key", path,
                      "the key has a pass phrase, and nobody to type it; store it without one");
    if (!out->key)
        return refuse(why, where, "key", path,
                      file_fault("there is no private key in PEM form in it"));
    if (X509_check_private_key(out->certificate, out->key) != 1)
        return refuse(why, where, "key", path, "the key does not belong to the certificate");
    return 0;
}

int tls_identity_read(struct tls_identity *out, const struct tls_pair *pair, const char *where,
                      char why[TLS_WHY_MAX])
{
    *out = (struct tls_identity){0};
    ERR_clear_error();
    BIO *bio = open_file(pair->certificate, where, "certificate", why);
    if (!bio)
        return -EINVAL;
    int err = read_chain(out, bio, pair->certificate, where, why);
    BIO_free(bio);
    if (err)
        return err;
    if (!(bio = open_file(pair->key, where, "key", why)))
        return -EINVAL;
    err = read_key(out, bio, pair->key, where, why);
    BIO_free(bio);
    if (!err)
        warn_of_dates(out->certificate, where, pair->certificate);
    return err;
}

void tls_identity_release(struct tls_identity *id)
{
    X509_free(id->certificate);
    sk_X509_pop_free(id->chain, X509_free);
    EVP_PKEY_free(id->key);
}

int tls_client_ca_read(struct tls_client_ca *out, const char *path, const char *key,
                       char why[TLS_WHY_MAX])
{
    ERR_clear_error();
    BIO *bio = open_file(path, key, "", why);
    if (!bio)
        return -EINVAL;
    out->store = X509_STORE_new();
    out->names = sk_X509_NAME_new_null();
    int err = out->store && out->names ? 0 : -ENOMEM;
    X509 *ca;
    while (!err && (ca = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
        X509_NAME *name = X509_NAME_dup(X509_get_subject_name(ca));
        if (!name || !sk_X509_NAME_push(out->names, name)) {
            X509_NAME_free(name);
            err = -ENOMEM;
        } else if (X509_STORE_add_cert(out->store, ca) != 1) {
            err = -ENOMEM;
        }
        X509_free(ca);
    }
    BIO_free(bio);
    if (err)
        return err;
    const char *fault = file_fault("");
    if (*fault)
        return refuse(why, key, "", path, fault);
    if (sk_X509_NAME_num(out->names) == 0)
        return refuse(why, key, "", path, "there is no certificate in PEM form in it");
    ERR_clear_error();
    return 0;
}

void tls_client_ca_release(struct tls_client_ca *ca)
{
    X509_STORE_free(ca->store);
    sk_X509_NAME_pop_free(ca->names, X509_NAME_free);
}
