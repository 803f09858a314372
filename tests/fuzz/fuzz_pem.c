// SPDX-License-Identifier: BSD-2-Clause
// Any bytes as the file of a certificate and its key, and as that of the authorities of clients:
// what is refused is refused with a reason, and all of it is given back.
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "net/tls_files.h"
#include "util/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[40], why[TLS_WHY_MAX] = "";
    struct tls_pair pair = {.certificate = path, .key = path};
    struct tls_client_ca ca = {0};
    struct tls_identity id;
    int fd = memfd_create("pem", MFD_CLOEXEC);

    log_setup(LOG_LVL_ERROR, LOG_FMT_TEXT, "stderr"); // nothing of old certificates

    CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int rc = tls_identity_read(&id, &pair, "tls", why);
    CHECK(rc < 0 ? why[0] && memchr(why, 0, sizeof(why)) : id.certificate && id.chain && id.key);
    tls_identity_release(&id);
    why[0] = '\0';
    rc = tls_client_ca_read(&ca, path, "tls.client_ca", why);
    CHECK(rc < 0 ? why[0] && memchr(why, 0, sizeof(why)) : ca.store && ca.names);
    tls_client_ca_release(&ca);
    close(fd);
    return 0;
}
