/* Runs a fuzz target without a fuzzer: each file of a corpus, every prefix of it, and every byte of it changed a little.
 * usage: driver DIRECTORY */
#include "fuzz.h"

#include <dirent.h>

#define FILE_MAX 4096

static unsigned long runs;

/* In a block of exactly its size, so that a read beyond it is seen. */
static void run(const unsigned char *at, size_t len)
{
    unsigned char *copy = malloc(len == 0 ? 1 : len);
    if (copy == NULL)
        abort();
    memcpy(copy, at, len);
    LLVMFuzzerTestOneInput(copy, len);
    free(copy);
    runs++;
}

static void run_file(const char *path)
{
    static const unsigned char changes[] = {0x01, 0x10, 0x80, 0xff};
    unsigned char bytes[FILE_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        abort();
    size_t len = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    for (size_t prefix = 0; prefix <= len; prefix++)
        run(bytes, prefix);
    for (size_t i = 0; i < len; i++)
        for (size_t c = 0; c < sizeof changes; c++) {
            bytes[i] ^= changes[c];
            run(bytes, len);
            bytes[i] ^= changes[c];
        }
}

int main(int argc, char **argv)
{
    char path[4096];
    DIR *corpus = argc == 2 ? opendir(argv[1]) : NULL;
    if (corpus == NULL) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    for (struct dirent *entry = readdir(corpus); entry != NULL; entry = readdir(corpus)) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        run_file(path);
    }
    closedir(corpus);
    printf("%s: %lu runs\n", argv[0], runs);
    return runs > 0 ? 0 : 1;
}
