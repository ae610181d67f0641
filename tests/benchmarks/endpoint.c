/* A fake S3 for benchmarks: quick enough that what is measured is the client.
 *
 *     gcc -O2 -pthread -o endpoint endpoint.c && ./endpoint PATTERN [PORT [DELAY_MICROSECONDS [CRC32]]]
 *
 * Listens on loopback only (port 0: any), prints its port, and serves every connection with a thread of its own. Checks
 * no signature. Small bodies are kept, large ones are thrown away by the kernel (MSG_TRUNC) and only their size is kept;
 * what is not kept is read as the bytes of PATTERN, a file that should lie on tmpfs, by sendfile().
 *
 *   bucket synthetic-N   holds N objects of 4 KiB, object-0000000.bin and so on, in pages of at most 1,000
 *   bucket pattern       holds what it is asked for: every object in it is PATTERN, with CRC32 (base64) as its checksum
 *   any other bucket     exists, holds what was put, and lists as empty
 *
 * Every ETag ends in "-1", as if of a multipart upload: no client takes such a one for an MD5 and compares it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <strings.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include "endpoint.h"

#define RESULT(name) "<" name " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"

typedef struct {
    int socket;
    size_t used; /* bytes received into head and not yet consumed */
    char head[HEAD];
} connection;

typedef struct {
    char method[8], path[2 * NAME], query[4 * NAME], range[64], source[2 * NAME], crc[32], bucket[NAME];
    const char *key; /* within path; "" for a bucket */
    size_t length, decoded;
    int expects, checksums, closes;
    char *body; /* NULL: none, or not kept */
} request;

/* By the number of the upload, where a new one takes the place of an old, and of the part: size, or -1. */
static long uploads[UPLOADS][PARTS + 1];
static long last_upload;
static int pattern;
static long delay;

/* The connection */

static int send_all(connection *c, const char *bytes, size_t count, int flags) {
    while (count) {
        ssize_t sent = send(c->socket, bytes, count, flags | MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        bytes += sent, count -= sent;
    }
    return 0;
}

static int send_pattern(connection *c, off_t from, size_t count) {
    while (count) {
        off_t at = from % pattern_size;
        size_t piece = count < pattern_size - at ? count : pattern_size - at;
        ssize_t sent = sendfile(c->socket, pattern, &at, piece);
        if (sent <= 0)
            return -1;
        from += sent, count -= sent;
    }
    return 0;
}

static int fill(connection *c) {
    ssize_t count = recv(c->socket, c->head + c->used, HEAD - 1 - c->used, 0);
    if (count <= 0)
        return -1;
    c->used += count;
    c->head[c->used] = 0;
    return 0;
}

static void consume(connection *c, size_t count) {
    memmove(c->head, c->head + count, c->used - count + 1);
    c->used -= count;
}

/* Receives count bytes to where it is told, or to nowhere. */
static int receive(connection *c, char *to, size_t count) {
    size_t present = c->used < count ? c->used : count;
    if (to)
        memcpy(to, c->head, present);
    consume(c, present);
    for (size_t done = present; done < count;) {
        ssize_t got = recv(c->socket, to ? to + done : NULL, count - done, to ? 0 : MSG_TRUNC);
        if (got <= 0)
            return -1;
        done += got;
    }
    return 0;
}

static void begin(text *t, int status, size_t length) {
    append(t, "HTTP/1.1 %d Whatever\r\nDate: Fri, 20 Nov 2026 17:00:00 GMT\r\nServer: endpoint\r\n", status);
    append(t, "x-amz-request-id: 4442587FB7D0A2F9\r\nx-amz-id-2: vjbyPxybdZaNmGayT272YEAiv4AY2oZ1gkK0lDTY\r\n");
    if (status != 204)
        append(t, "Content-Length: %zu\r\n", length);
}

/* Sends an answer: a body is XML, further headers end in a line break each. */
static int answer(connection *c, int status, const char *headers, const char *body) {
    text t = {0};
    begin(&t, status, strlen(body));
    append(&t, "%s%s\r\n%s", *body ? "Content-Type: application/xml\r\n" : "", headers, body);
    int failed = send_all(c, t.start, t.length, 0);
    free(t.start);
    return failed;
}

static int answer_missing(connection *c, const request *r) {
    return answer(c, 404, "", strcmp(r->method, "HEAD") ? "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>" : "");
}

/* Reading requests */

static void read_header(request *r, const char *name, const char *value) {
    if (!strcasecmp(name, "content-length"))
        r->length = strtoull(value, NULL, 10);
    else if (!strcasecmp(name, "x-amz-decoded-content-length"))
        r->decoded = strtoull(value, NULL, 10);
    else if (!strcasecmp(name, "expect"))
        r->expects = 1;
    else if (!strcasecmp(name, "connection"))
        r->closes = strcasestr(value, "close") != NULL;
    else if (!strcasecmp(name, "x-amz-checksum-mode"))
        r->checksums = 1;
    else if (!strcasecmp(name, "range"))
        snprintf(r->range, sizeof r->range, "%s", value);
    else if (!strcasecmp(name, "x-amz-checksum-crc32"))
        snprintf(r->crc, sizeof r->crc, "%s", value);
    else if (!strcasecmp(name, "x-amz-copy-source"))
        snprintf(r->source, sizeof r->source, "%s%s", *value == '/' ? "" : "/", value), decode(r->source);
}

static void read_target(request *r, char *target) {
    char *query = strchr(target, '?');
    if (query) {
        *query = 0;
        snprintf(r->query, sizeof r->query, "%s", query + 1);
    }
    decode(target);
    snprintf(r->path, sizeof r->path, "%s", target);
    size_t length = strcspn(r->path + 1, "/");
    snprintf(r->bucket, sizeof r->bucket, "%.*s", (int)length, r->path + 1);
    r->key = r->path[length + 1] ? r->path + length + 2 : "";
}

static int read_head(connection *c, request *r) {
    char *end;
    while (!(end = memmem(c->head, c->used, "\r\n\r\n", 4)))
        if (c->used == HEAD - 1 || fill(c))
            return -1;
    *end = 0;
    char *rest, *line = strtok_r(c->head, "\r\n", &rest), *more;
    char *method = strtok_r(line, " ", &more), *target = strtok_r(NULL, " ", &more);
    if (!target || *target != '/')
        return -1;
    snprintf(r->method, sizeof r->method, "%s", method);
    read_target(r, target);
    while ((line = strtok_r(NULL, "\r\n", &rest))) {
        char *value = strchr(line, ':');
        if (value) {
            *value++ = 0;
            read_header(r, line, value + strspn(value, " "));
        }
    }
    consume(c, end + 4 - c->head);
    return 0;
}

static int read_body(connection *c, request *r) {
    if (r->expects && send_all(c, "HTTP/1.1 100 Continue\r\n\r\n", 25, 0))
        return -1;
    if (r->decoded) { /* aws-chunked: its frames are not taken off, so that it cannot be kept */
        int failed = receive(c, NULL, r->length);
        r->length = r->decoded;
        return failed;
    }
    r->body = r->length <= KEPT ? calloc(1, r->length + 1) : NULL;
    return receive(c, r->body, r->length);
}

/* Operations */

/* Says which bytes a Range header means; 0 where it means none. */
static int cut(const char *range, size_t size, size_t *start, size_t *stop) {
    size_t last;
    *start = 0, *stop = size;
    if (sscanf(range, "bytes=-%zu", start) == 1)
        *start = *start < size ? size - *start : 0;
    else if (sscanf(range, "bytes=%zu-%zu", start, &last) == 2 && last + 1 < size)
        *stop = last + 1;
    return *start < *stop;
}

static int get(connection *c, const request *r) {
    object found;
    size_t start = 0, stop;
    text t = {0};
    if (!find(r->path, &found))
        return answer_missing(c, r);
    stop = found.size;
    if (*r->range && !cut(r->range, found.size, &start, &stop))
        return free(found.data), answer(c, 416, "", "");
    begin(&t, *r->range ? 206 : 200, stop - start);
    append(&t, "Last-Modified: Fri, 20 Nov 2026 16:00:00 GMT\r\nETag: \"%032zx-1\"\r\n", found.size);
    append(&t, "Accept-Ranges: bytes\r\nContent-Type: binary/octet-stream\r\n");
    if (*r->range)
        append(&t, "Content-Range: bytes %zu-%zu/%zu\r\n", start, stop - 1, found.size);
    else if (r->checksums && *found.crc)
        append(&t, "x-amz-checksum-crc32: %s\r\nx-amz-checksum-type: FULL_OBJECT\r\n", found.crc);
    append(&t, "\r\n");
    int only_head = !strcmp(r->method, "HEAD");
    int failed = send_all(c, t.start, t.length, only_head ? 0 : MSG_MORE);
    if (!failed && !only_head)
        failed = found.data ? send_all(c, found.data + start, stop - start, 0) : send_pattern(c, start, stop - start);
    free(t.start), free(found.data);
    return failed;
}

static int list(connection *c, const request *r) {
    char prefix[NAME] = "", token[NAME] = "", most[32] = "1000", type[8];
    long first = -1, total = 0;
    int second = parameter(r->query, "list-type", type, sizeof type);
    parameter(r->query, "prefix", prefix, sizeof prefix);
    parameter(r->query, "max-keys", most, sizeof most);
    if (!parameter(r->query, "continuation-token", token, sizeof token)
        && !parameter(r->query, "start-after", token, sizeof token))
        parameter(r->query, "marker", token, sizeof token);
    sscanf(token, "object-%ld", &first);
    if (!strncmp(prefix, "object-", strlen(prefix)))
        sscanf(r->bucket, "synthetic-%ld", &total);
    long last = first + (atol(most) < PAGE ? atol(most) : PAGE);
    last = last < total - 1 ? last : total - 1;
    text t = {0};
    append(&t, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" RESULT("ListBucketResult"));
    append(&t, "<Name>%s</Name><Prefix>%s</Prefix><MaxKeys>%s</MaxKeys><KeyCount>%ld</KeyCount>", r->bucket, prefix, most, last - first);
    append(&t, "<EncodingType>url</EncodingType><IsTruncated>%s</IsTruncated>", last < total - 1 ? "true" : "false");
    if (last < total - 1)
        append(&t, second ? "<NextContinuationToken>object-%07ld.bin</NextContinuationToken>" : "<NextMarker>object-%07ld.bin</NextMarker>", last);
    for (long number = first + 1; number <= last; number++)
        append(&t, "<Contents><Key>object-%07ld.bin</Key><LastModified>2026-11-20T16:00:00.000Z</LastModified>"
                   "<ETag>&quot;%032d-1&quot;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>FULL_OBJECT</ChecksumType>"
                   "<Size>%d</Size><StorageClass>STANDARD</StorageClass></Contents>", number, SYNTHETIC_SIZE, SYNTHETIC_SIZE);
    append(&t, "</ListBucketResult>");
    int failed = answer(c, 200, "", t.start);
    free(t.start);
    return failed;
}

static long *part_of(const request *r, const char *id) {
    char number[16] = "0";
    parameter(r->query, "partNumber", number, sizeof number);
    return &uploads[atol(id) % UPLOADS][atol(number) % (PARTS + 1)];
}

static int put(connection *c, request *r) {
    char headers[256], number[32] = "";
    if (parameter(r->query, "uploadId", number, sizeof number))
        *part_of(r, number) = r->length;
    else
        store(r->path, r->length, r->body, r->crc), r->body = NULL;
    int count = snprintf(headers, sizeof headers, "ETag: \"%032zx-1\"\r\n", r->length);
    if (*r->crc)
        snprintf(headers + count, sizeof headers - count, "x-amz-checksum-crc32: %s\r\n", r->crc);
    return answer(c, 200, headers, "");
}

static int copy(connection *c, const request *r) {
    char number[32] = "", body[256];
    object found;
    int part = parameter(r->query, "uploadId", number, sizeof number);
    if (!find(r->source, &found))
        return answer_missing(c, r);
    if (part) /* its range is not looked at: the size of the object in the end does not matter */
        *part_of(r, number) = found.size, free(found.data);
    else
        store(r->path, found.size, found.data, found.crc);
    const char *root = part ? "CopyPartResult" : "CopyObjectResult";
    snprintf(body, sizeof body, "<%s><LastModified>2026-11-20T16:00:00.000Z</LastModified><ETag>\"%032zx-1\"</ETag></%s>", root, found.size, root);
    return answer(c, 200, "", body);
}

static int start_upload(connection *c, const request *r) {
    char body[4 * NAME];
    long id = __sync_add_and_fetch(&last_upload, 1);
    memset(uploads[id % UPLOADS], -1, sizeof uploads[0]);
    snprintf(body, sizeof body, RESULT("InitiateMultipartUploadResult") "<Bucket>%s</Bucket>"
             "<Key>%s</Key><UploadId>%ld</UploadId></InitiateMultipartUploadResult>", r->bucket, r->key, id);
    return answer(c, 200, "", body);
}

static int finish_upload(connection *c, const request *r, const char *id) {
    char body[4 * NAME];
    size_t size = 0;
    for (int number = 1; number <= PARTS; number++)
        size += uploads[atol(id) % UPLOADS][number] > 0 ? uploads[atol(id) % UPLOADS][number] : 0;
    store(r->path, size, NULL, "");
    snprintf(body, sizeof body, RESULT("CompleteMultipartUploadResult") "<Bucket>%s</Bucket>"
             "<Key>%s</Key><ETag>\"%032zx-1\"</ETag></CompleteMultipartUploadResult>", r->bucket, r->key, size);
    return answer(c, 200, "", body);
}

static int list_parts(connection *c, const char *id) {
    text t = {0};
    append(&t, RESULT("ListPartsResult") "<IsTruncated>false</IsTruncated>");
    for (int number = 1; number <= PARTS; number++) {
        long size = uploads[atol(id) % UPLOADS][number];
        if (size >= 0)
            append(&t, "<Part><PartNumber>%d</PartNumber><ETag>\"%032zx-1\"</ETag><Size>%ld</Size></Part>", number, size, size);
    }
    append(&t, "</ListPartsResult>");
    int failed = answer(c, 200, "", t.start);
    free(t.start);
    return failed;
}

static int delete_many(connection *c, const request *r) {
    char name[2 * NAME];
    for (const char *at = r->body; at && (at = strstr(at, "<Key>")); at += 5) {
        snprintf(name, sizeof name, "/%s/%.*s", r->bucket, (int)strcspn(at + 5, "<"), at + 5);
        replace(name, NULL);
    }
    return answer(c, 200, "", RESULT("DeleteResult") "</DeleteResult>");
}

static int serve_bucket(connection *c, const request *r) {
    char value[8];
    if (!*r->bucket)
        return answer(c, 200, "", RESULT("ListAllMyBucketsResult") "<Buckets></Buckets></ListAllMyBucketsResult>");
    if (!strcmp(r->method, "POST") && parameter(r->query, "delete", value, sizeof value))
        return delete_many(c, r);
    if (parameter(r->query, "location", value, sizeof value))
        return answer(c, 200, "", "<LocationConstraint></LocationConstraint>");
    if (parameter(r->query, "versioning", value, sizeof value))
        return answer(c, 200, "", "<VersioningConfiguration/>");
    if (!strcmp(r->method, "GET"))
        return list(c, r);
    return answer(c, 200, "x-amz-bucket-region: us-east-1\r\n", "");
}

static int serve(connection *c, request *r) {
    char id[64];
    if (!*r->key)
        return serve_bucket(c, r);
    if (!strcmp(r->method, "PUT"))
        return *r->source ? copy(c, r) : put(c, r);
    if (!strcmp(r->method, "DELETE")) {
        if (!parameter(r->query, "uploadId", id, sizeof id))
            replace(r->path, NULL);
        return answer(c, 204, "", "");
    }
    if (parameter(r->query, "uploadId", id, sizeof id)) {
        if (!strcmp(r->method, "POST"))
            return finish_upload(c, r, id);
        return list_parts(c, id);
    }
    return strcmp(r->method, "POST") ? get(c, r) : start_upload(c, r);
}

static void *serve_connection(void *argument) {
    connection *c = argument;
    int one = 1, failed = 0;
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    while (!failed) {
        request r = {0};
        failed = read_head(c, &r) || read_body(c, &r);
        if (!failed && delay)
            nanosleep(&(struct timespec){delay / 1000000, delay % 1000000 * 1000}, NULL);
        failed = failed || serve(c, &r) || r.closes;
        free(r.body);
    }
    close(c->socket);
    free(c);
    return NULL;
}

static int listen_at(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int one = 1, found = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(found, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(found, (void *)&address, length) || listen(found, 512) || getsockname(found, (void *)&address, &length)) {
        perror("endpoint");
        exit(1);
    }
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    return found;
}

int main(int count, char **arguments) {
    struct stat status;
    pattern = count > 1 ? open(arguments[1], O_RDONLY) : -1;
    if (pattern < 0 || fstat(pattern, &status) || !status.st_size)
        return fprintf(stderr, "usage: endpoint PATTERN [PORT [DELAY_MICROSECONDS [CRC32]]]\n"), 1;
    pattern_size = status.st_size;
    delay = count > 3 ? atol(arguments[3]) : 0;
    snprintf(pattern_crc, sizeof pattern_crc, "%s", count > 4 ? arguments[4] : "");
    signal(SIGPIPE, SIG_IGN);
    int listener = listen_at(count > 2 ? atoi(arguments[2]) : 0);
    for (;;) {
        connection *c = calloc(1, sizeof *c);
        pthread_t thread;
        c->socket = accept(listener, NULL, NULL);
        if (c->socket < 0 || pthread_create(&thread, NULL, serve_connection, c))
            free(c);
        else
            pthread_detach(thread);
    }
}
