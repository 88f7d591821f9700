/* word_count.c: the most frequent words of the files of a folder, counted by mp_pool_imap in
 * whatever order the files are done. SPDX-License-Identifier: MIT
 *
 * usage: word_count FOLDER */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <mp/context.h>
#include <mp/imap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORD_MAX = 24, SHOWN = 8 };

struct word {
    char text[WORD_MAX]; /* in small letters; the rest of a longer one is left out */
    long count;
};

struct list {
    struct word *words;
    size_t count, capacity; /* of them */
};

static int append(struct list *list, const struct word *words, size_t count) {
    if (list->count + count > list->capacity) {
        size_t capacity = 2 * (list->count + count);
        struct word *larger = realloc(list->words, capacity * sizeof *larger);
        if (!larger)
            return -ENOMEM;
        list->words = larger;
        list->capacity = capacity;
    }
    if (count > 0)
        memcpy(list->words + list->count, words, count * sizeof *words);
    list->count += count;
    return 0;
}

static int by_text(const void *left, const void *right) {
    return strcmp(((const struct word *)left)->text, ((const struct word *)right)->text);
}

static int by_count(const void *left, const void *right) {
    const struct word *a = left, *b = right;
    return a->count != b->count ? (a->count < b->count ? 1 : -1) : by_text(a, b);
}

/* Equal words become one. */
static void merge(struct list *list) {
    size_t kept = 0;
    if (list->count > 0)
        qsort(list->words, list->count, sizeof(struct word), by_text);
    for (size_t i = 0; i < list->count; i++)
        if (kept > 0 && by_text(&list->words[kept - 1], &list->words[i]) == 0)
            list->words[kept - 1].count += list->words[i].count;
        else
            list->words[kept++] = list->words[i];
    list->count = kept;
}

static int read_words(FILE *file, struct list *list) {
    struct word word = {.count = 1};
    size_t length = 0;
    for (int c = 0, code; c != EOF;) {
        c = getc(file);
        if (isalpha(c) && length < WORD_MAX - 1)
            word.text[length++] = (char)tolower(c);
        if (isalpha(c) || length == 0)
            continue;
        word.text[length] = 0;
        length = 0;
        if ((code = append(list, &word, 1)) < 0)
            return code;
    }
    return 0;
}

/* A task: the words of one file, each once. */
static int count_words(const void *arg, size_t arg_size, mp_reply *reply, void *state) {
    (void)arg_size, (void)state;
    struct list list = {0};
    FILE *file = fopen(arg, "r");
    int code = file ? read_words(file, &list) : -errno;
    merge(&list);
    if (code == 0)
        code = mp_reply_set(reply, list.words, list.count * sizeof(struct word));
    else
        mp_reply_fail(reply, code, "%s: %s", (const char *)arg, strerror(-code));
    if (file)
        fclose(file);
    free(list.words);
    return code;
}

struct folder {
    DIR *stream;      /* what is left of it */
    const char *name; /* of it */
    char path[4096];  /* of the file given last */
};

static int next_file(void *user, const void **data, size_t *size) {
    struct folder *folder = user;
    struct dirent *entry;
    do
        entry = readdir(folder->stream);
    while (entry && entry->d_name[0] == '.');
    if (!entry)
        return 0;
    *size = 1 + (size_t)snprintf(folder->path, sizeof folder->path, "%.1000s/%s", folder->name,
                                 entry->d_name);
    *data = folder->path;
    return 1;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    struct folder folder = {argc == 2 ? opendir(argv[1]) : NULL, argv[argc - 1], ""};
    if (!folder.stream)
        return fprintf(stderr, "usage: word_count FOLDER\n"), 2;
    mp_pool *pool;
    mp_imap *counts;
    mp_imap_options options = {.unordered = true, .user = &folder, .progress_bar = true};
    if (mp_pool_new(&pool, NULL, NULL) < 0 ||
        mp_pool_imap(&counts, pool, count_words, next_file, &options) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;

    struct list all = {0};
    const void *data;
    size_t size;
    int code, files = 0;
    while ((code = mp_imap_next(counts, &data, &size, MP_FOREVER)) != MP_EEND) {
        if (code == 0)
            code = append(&all, data, size / sizeof(struct word));
        else
            fprintf(stderr, "%s\n", mp_error_detail());
        files += code == 0;
    }
    mp_imap_free(counts);
    mp_pool_free(pool);
    closedir(folder.stream);

    merge(&all);
    printf("%d files, %zu different words\n", files, all.count);
    if (all.count > 0)
        qsort(all.words, all.count, sizeof(struct word), by_count);
    for (size_t i = 0; i < all.count && i < SHOWN; i++)
        printf("%5ld %s\n", all.words[i].count, all.words[i].text);
    free(all.words);
    return 0;
}
