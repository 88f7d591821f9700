/* word_count.c: the most frequent words of the files of a folder, counted by mp_pool_imap in
 * whatever order the files are done. SPDX-License-Identifier: MIT
 *
 * usage: word_count FOLDER */
#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <mp/context.h>
#include <mp/imap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORD_MAX = 24, SHOWN = 8 };

struct word {
    char text[WORD_MAX]; /* in small letters; the rest of a longer one is left out */
    long count;
};

struct list {
    struct word *words;
    size_t count, capacity; /* of them */
};

static int add(struct list *list, const struct word *word) {
    if (list->count == list->capacity) {
        size_t capacity = 2 * list->capacity + 64;
        struct word *larger = realloc(list->words, capacity * sizeof *larger);
        if (!larger)
            return -ENOMEM;
        list->words = larger;
        list->capacity = capacity;
    }
    list->words[list->count++] = *word;
    return 0;
}

static int by_text(const void *left, const void *right) {
    return strcmp(((const struct word *)left)->text, ((const struct word *)right)->text);
}

static int by_count(const void *left, const void *right) {
    const struct word *a = left, *b = right;
    return a->count != b->count ? (a->count < b->count ? 1 : -1) : by_text(a, b);
}

static void sort(struct list *list, int (*compare)(const void *, const void *)) {
    if (list->count > 0)
        qsort(list->words, list->count, sizeof(struct word), compare);
}

/* Equal words become one. */
static void merge(struct list *list) {
    size_t kept = 0;
    sort(list, by_text);
    for (size_t i = 0; i < list->count; i++)
        if (kept > 0 && by_text(&list->words[kept - 1], &list->words[i]) == 0)
            list->words[kept - 1].count += list->words[i].count;
        else
            list->words[kept++] = list->words[i];
    list->count = kept;
}

static int read_words(FILE *file, struct list *list) {
    struct word word = {.count = 1};
    int code = 0;
    while (code == 0 && fscanf(file, "%*[^A-Za-z]") != EOF)
        if (fscanf(file, "%23[A-Za-z]%*[A-Za-z]", word.text) == 1) {
            for (char *c = word.text; *c; c++)
                *c = (char)tolower(*c);
            code = add(list, &word);
        }
    return code;
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
    glob_t paths; /* of its files */
    size_t next;  /* which one is given next */
};

static int next_file(void *user, const void **data, size_t *size) {
    struct folder *folder = user;
    if (folder->next == folder->paths.gl_pathc)
        return 0;
    *data = folder->paths.gl_pathv[folder->next++];
    *size = strlen(*data) + 1;
    return 1;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    struct folder folder = {0};
    if (argc != 2 || chdir(argv[1]) < 0 || glob("*", 0, NULL, &folder.paths) != 0)
        return fprintf(stderr, "usage: word_count FOLDER\n"), 2;
    mp_pool *pool;
    mp_imap *counts;
    mp_imap_options options = {.unordered = true, .user = &folder, .progress_bar = true};
    if (mp_pool_new(&pool, NULL, NULL) < 0 ||
        mp_pool_imap(&counts, pool, count_words, next_file, &options) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;

    struct list all = {0};
    const void *words;
    size_t size;
    int code, files = 0;
    while ((code = mp_imap_next(counts, &words, &size, MP_FOREVER)) != MP_EEND) {
        for (size_t i = 0; code == 0 && i < size / sizeof(struct word); i++)
            code = add(&all, (const struct word *)words + i);
        if (code < 0)
            fprintf(stderr, "%s\n", mp_error_detail());
        files += code == 0;
    }
    mp_imap_free(counts);
    mp_pool_free(pool);
    globfree(&folder.paths);

    merge(&all);
    printf("%d files, %zu different words\n", files, all.count);
    sort(&all, by_count);
    for (size_t i = 0; i < all.count && i < SHOWN; i++)
        printf("%5ld %s\n", all.words[i].count, all.words[i].text);
    free(all.words);
    return 0;
}
