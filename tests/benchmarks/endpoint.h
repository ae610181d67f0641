/* What endpoint.c keeps: texts that grow, and objects by name. */
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT = 1 << 20, SLOTS = 1 << 16, HEAD = 1 << 16, SYNTHETIC_SIZE = 4096, PAGE = 1000, NAME = 1024, UPLOADS = 64, PARTS = 10000 };

typedef struct object {
    char *name; /* "/bucket/key" */
    size_t size;
    char *data; /* NULL: not kept */
    char crc[32];
    struct object *next;
} object;

typedef struct {
    char *start;
    size_t length, room;
} text;

static object *table[SLOTS];
static pthread_rwlock_t lock = PTHREAD_RWLOCK_INITIALIZER;
static size_t pattern_size;
static char pattern_crc[32];

/* Text */

static void append(text *t, const char *format, ...) {
    for (;;) {
        va_list arguments;
        va_start(arguments, format);
        int count = vsnprintf(t->start + t->length, t->room - t->length, format, arguments);
        va_end(arguments);
        if (t->length + count < t->room) {
            t->length += count;
            return;
        }
        t->room = 2 * t->room + count + 4096;
        t->start = realloc(t->start, t->room);
    }
}

static void decode(char *value) {
    char *to = value;
    for (; *value; value++) {
        unsigned byte;
        if (*value == '%' && sscanf(value + 1, "%2x", &byte) == 1) {
            *to++ = byte;
            value += 2;
        } else {
            *to++ = *value;
        }
    }
    *to = 0;
}

/* Copies the decoded value of a query's parameter; says whether there is one. */
static int parameter(const char *query, const char *name, char *value, size_t room) {
    size_t length = strlen(name);
    for (const char *at = query; at && *at; at = strchr(at, '&'), at += at != NULL) {
        if (strncmp(at, name, length) || !strchr("=&", at[length]))
            continue;
        const char *from = at[length] == '=' ? at + length + 1 : "";
        snprintf(value, room, "%.*s", (int)strcspn(from, "&"), from);
        decode(value);
        return 1;
    }
    return 0;
}

/* Objects */

static object **slot(const char *name) {
    unsigned hash = 2166136261u;
    for (const char *at = name; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    object **found = &table[hash % SLOTS];
    while (*found && strcmp((*found)->name, name))
        found = &(*found)->next;
    return found;
}

/* Puts an object in the place of the one of that name, or, if it is NULL, takes that one away. */
static void replace(const char *name, object *made) {
    pthread_rwlock_wrlock(&lock);
    object **found = slot(name), *old = *found;
    if (old) {
        *found = old->next;
        free(old->name), free(old->data), free(old);
    }
    if (made)
        made->next = *found, *found = made;
    pthread_rwlock_unlock(&lock);
}

/* Takes over data. */
static void store(const char *name, size_t size, char *data, const char *crc) {
    object *made = calloc(1, sizeof *made);
    made->name = strdup(name), made->size = size, made->data = data;
    snprintf(made->crc, sizeof made->crc, "%s", crc);
    replace(name, made);
}

/* Copies an object's description, and its content where that is kept: the caller frees it. */
static int find(const char *name, object *copy) {
    memset(copy, 0, sizeof *copy);
    if (!strncmp(name, "/synthetic-", 11))
        return copy->size = SYNTHETIC_SIZE;
    if (!strncmp(name, "/pattern/", 9))
        return strcpy(copy->crc, pattern_crc), (copy->size = pattern_size) > 0;
    pthread_rwlock_rdlock(&lock);
    object *found = *slot(name);
    if (found) {
        *copy = *found;
        if (found->data) {
            copy->data = malloc(found->size + 1);
            memcpy(copy->data, found->data, found->size);
        }
    }
    pthread_rwlock_unlock(&lock);
    return found != NULL;
}
