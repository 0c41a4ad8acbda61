/* make_tree.c: a tree of many small files, for tests and for measuring examples/duplicates.
 *
 *     make_tree DIR COUNT
 *
 * 500 files a directory, of 20 to 219 bytes. File i holds the number i - i % 5 + min(i % 5, 3), padded to its size: of five
 * files the last two are equal, so COUNT files have COUNT / 5 groups of two. Prints what duplicates has to find. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_A_DIRECTORY 500

static void die(const char *path)
{
    fprintf(stderr, "make_tree: %s: %s\n", path, strerror(errno));
    exit(1);
}

static void make_directory(const char *path)
{
    if (mkdir(path, 0755) != 0 && errno != EEXIST)
        die(path);
}

/* Content of file i; returns its size. */
static size_t fill(char content[256], unsigned long i)
{
    unsigned long number = i - i % 5 + (i % 5 < 3 ? i % 5 : 3);
    size_t size = 20 + number % 200;
    memset(content, '.', size);
    int digits = snprintf(content, 256, "%lu", number);
    content[digits] = '\n';
    return size;
}

static size_t make_file(const char *path, unsigned long i)
{
    char content[256];
    size_t size = fill(content, i);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, content, size) != (ssize_t)size || close(fd) != 0)
        die(path);
    return size;
}

int main(int argc, char **argv)
{
    unsigned long count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    if (count == 0 || strlen(argv[1]) > 3000) {
        fprintf(stderr, "usage: make_tree DIR COUNT\n");
        return 2;
    }
    char directory[3100], path[3200];
    unsigned long long bytes = 0, wasted = 0;
    make_directory(argv[1]);
    for (unsigned long i = 0; i < count; i++) {
        if (i % FILES_A_DIRECTORY == 0) {
            snprintf(directory, sizeof directory, "%s/part-%05lu", argv[1], i / FILES_A_DIRECTORY);
            make_directory(directory);
        }
        snprintf(path, sizeof path, "%s/file-%07lu.txt", directory, i);
        size_t size = make_file(path, i);
        bytes += size;
        wasted += i % 5 == 4 ? size : 0;
    }
    printf("{\"files\":%lu,\"bytes\":%llu,\"duplicate_groups\":%lu,\"wasted_bytes\":%llu}\n", count, bytes, count / 5, wasted);
    return 0;
}
