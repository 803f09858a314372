// SPDX-License-Identifier: BSD-2-Clause
// Runs a fuzzer over every file below the folders given, or below its own seeds, and prints TAP.
// For builds without libFuzzer; also shows a finding in a debugger.
#include <ftw.h>
#include <string.h>

#include "fuzz.h"

static int files, failed;

static int replay(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    if (kind != FTW_F)
        return 0;
    // A block of the exact size, so that a sanitizer sees a read past it.
    uint8_t *data = malloc(st->st_size ? (size_t)st->st_size : 1);
    FILE *f = fopen(path, "rb");
    size_t len = data && f ? fread(data, 1, (size_t)st->st_size, f) : 0;
    files++;
    if (data && f && len == (size_t)st->st_size) {
        LLVMFuzzerTestOneInput(data, len);
        printf("ok %d - %s\n", files, path + where->base);
    } else {
        printf("not ok %d - %s: cannot be read\n", files, path + where->base);
        failed++;
    }
    fflush(stdout);
    if (f)
        fclose(f);
    free(data);
    return 0;
}

static int replay_below(const char *folder)
{
    int before = files;
    if (nftw(folder, replay, 16, FTW_PHYS) == 0 && files > before)
        return 0;
    printf("Bail out! no seeds in %s\n", folder);
    return 1;
}

int main(int argc, char **argv)
{
    char folder[4096];
    const char *source = getenv("TP_SRCDIR");
    const char *name = strstr(argv[0], "fuzz_");

    for (int i = 1; i < argc; i++) {
        if (replay_below(argv[i]))
            return 1;
    }
    if (argc == 1) {
        for (const char *p = name; p && (p = strstr(p + 1, "fuzz_"));)
            name = p; // the last one: a folder above may be called so too
        snprintf(folder, sizeof(folder), "%s/tests/fuzz/seeds/%s", source ? source : ".",
                 name ? name + strlen("fuzz_") : "");
        if (replay_below(folder))
            return 1;
    }
    printf("1..%d\n", files);
    return failed > 0;
}
