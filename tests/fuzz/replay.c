/* Runs a fuzz target over files, for ctest: an ordinary main in place of libFuzzer's.
 * SPDX-License-Identifier: MIT
 *
 *     usage: fuzz_x FILE... */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The file's bytes in memory of just their size, so that a sanitizer sees every byte too far. */
static int replay(const char *path) {
    FILE *stream = fopen(path, "rb");
    if (!stream || fseek(stream, 0, SEEK_END) != 0)
        return -1;
    long size = ftell(stream);
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    rewind(stream);
    if (!data || fread(data, 1, (size_t)size, stream) != (size_t)size)
        return -1;
    fclose(stream);
    LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    return 0;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (replay(argv[i]) < 0) {
            fprintf(stderr, "cannot read %s\n", argv[i]);
            return 2;
        }
    printf("%d inputs\n", argc - 1);
    return argc > 1 ? 0 : 2;
}
