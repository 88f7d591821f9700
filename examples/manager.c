/* manager.c: three processes count words in a dict that lives at a manager.
 * SPDX-License-Identifier: MIT */
#include <mp/context.h>
#include <mp/manager.h>
#include <mp/object.h>
#include <mp/process.h>
#include <mp/proxy_types.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct work {
    mp_proxy *counts; /* pointers that mean the same in every process */
    mp_proxy *lock;
    char text[64];
};

static const char *const texts[] = {"the cat and the dog", "the dog and the bird", "a bird"};
enum { TEXTS = 3 };

static int count_word(struct work *work, const char *word) {
    mp_object *found;
    int64_t count = 0;
    if (mp_proxy_lock_acquire(work->lock, MP_FOREVER) < 0)
        return 1;
    if (mp_proxy_dict_get(work->counts, &found, mp_str_new(word)) == 0) {
        mp_integer_get(found, &count);
        mp_object_free(found);
    }
    int code = mp_proxy_dict_set(work->counts, mp_str_new(word), mp_integer_new(count + 1));
    return mp_proxy_lock_release(work->lock) < 0 || code < 0;
}

static int count_words(void *arg, size_t arg_size) {
    struct work *work = arg;
    char *rest;
    (void)arg_size;
    for (char *word = strtok_r(work->text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (count_word(work, word))
            return 1;
    return 0;
}

static int show(mp_proxy *counts, const char *word) {
    mp_object *found;
    char *text;
    if (mp_proxy_dict_get(counts, &found, mp_str_new(word)) < 0 ||
        mp_object_repr(found, &text, NULL) < 0)
        return fprintf(stderr, "%s: %s\n", word, mp_error_detail()), 1;
    printf("%s: %s\n", word, text);
    free(text);
    mp_object_free(found);
    return 0;
}

int main(int argc, char **argv) {
    mp_freeze_support(argc, argv);
    mp_manager *manager;
    struct work work;
    mp_process *processes[TEXTS];
    if (mp_manager_new(&manager, NULL, NULL) < 0 || mp_manager_start(manager) < 0 ||
        mp_manager_dict(manager, &work.counts, NULL) < 0 ||
        mp_manager_lock(manager, &work.lock) < 0)
        return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    for (int i = 0; i < TEXTS; i++) {
        snprintf(work.text, sizeof work.text, "%s", texts[i]);
        mp_process_options options = {.target = count_words, .arg = &work, .arg_size = sizeof work};
        if (mp_process_new(&processes[i], NULL, &options) < 0 || mp_process_start(processes[i]) < 0)
            return fprintf(stderr, "%s\n", mp_error_detail()), 1;
    }
    int code, failures = 0;
    for (int i = 0; i < TEXTS; i++) {
        mp_process_join(processes[i], MP_FOREVER);
        failures += mp_process_exitcode(processes[i], &code) < 0 || code != 0;
        mp_process_close(processes[i]);
    }
    failures += show(work.counts, "the") + show(work.counts, "bird") + show(work.counts, "cat");
    mp_proxy_free(work.counts);
    mp_proxy_free(work.lock);
    mp_manager_free(manager);
    return failures > 0;
}
