// The C program that the Kafka bridge is measured against: the same librdkafka, the same settings, no Swift.
//
//   kafka_peer produce|consume SERVERS TOPIC COUNT BYTES
//
// Prints the seconds from the first record after the first tenth (or the assignment) to the last one acknowledged
// (or read), without connecting.
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long acknowledged = 0;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void die(const char *what, const char *why) {
    fprintf(stderr, "kafka_peer: %s: %s\n", what, why);
    exit(1);
}

static void delivered(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque) {
    (void)rk, (void)opaque;
    if (message->err) die("delivery", rd_kafka_message_errstr(message));
    acknowledged++;
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *servers, const char *const *settings) {
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", servers, reason, sizeof reason);
    for (; settings[0]; settings += 2)
        if (rd_kafka_conf_set(conf, settings[0], settings[1], reason, sizeof reason)) die("setting", reason);
    if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(conf, delivered);
    rd_kafka_t *made = rd_kafka_new(type, conf, reason, sizeof reason);
    if (!made) die("client", reason);
    return made;
}

static void put(rd_kafka_t *rk, rd_kafka_topic_t *topic, char *value, size_t bytes, int flags) {
    while (rd_kafka_produce(topic, 0, flags, value, bytes, NULL, 0, NULL)) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            die("produce", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(rk, 10);
    }
}

static double produce(const char *servers, const char *name, long count, size_t bytes) {
    const char *settings[] = {
        "enable.idempotence", "true", "linger.ms", "5", "batch.size", "1000000", "socket.nagle.disable", "true",
        "queue.buffering.max.messages", "100000", "queue.buffering.max.kbytes", "65536", NULL};
    rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, servers, settings);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, name, NULL);
    char *value = malloc(bytes);
    memset(value, 'x', bytes);
    double start = 0;
    long warm_up = count < 10 ? 1 : count / 10;
    for (long i = 0; i < count; i++) {
        if (i == warm_up) {
            if (rd_kafka_flush(rk, 10000)) die("first records", "not acknowledged");
            start = now();
        }
        memset(value, 'x', bytes);
        memcpy(value, &i, sizeof i);
        put(rk, topic, value, bytes, RD_KAFKA_MSG_F_COPY);
        if (i % 1000 == 0) rd_kafka_poll(rk, 0);
    }
    if (rd_kafka_flush(rk, 60000) || acknowledged != count) die("produce", "not all acknowledged");
    double seconds = now() - start;
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(rk);
    return seconds;
}

static double consume(const char *servers, const char *name, long count, size_t bytes) {
    const char *settings[] = {
        "group.id", "sf-bench", "enable.auto.commit", "false", "enable.auto.offset.store", "false",
        "enable.partition.eof", "true", "queued.max.messages.kbytes", "16384", "queued.min.messages", "100000",
        "max.partition.fetch.bytes", "1048576", "fetch.max.bytes", "16777216", "receive.message.max.bytes",
        "1000000000", "fetch.wait.max.ms", "100", "fetch.error.backoff.ms", "50", "socket.nagle.disable", "true",
        "isolation.level", "read_committed", NULL};
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, servers, settings);
    rd_kafka_poll_set_consumer(rk);
    int64_t low, high;
    rd_kafka_resp_err_t error = rd_kafka_query_watermark_offsets(rk, name, 0, &low, &high, 10000);
    if (error) die("watermarks", rd_kafka_err2str(error));
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, name, 0)->offset = 0;
    double start = now();
    rd_kafka_assign(rk, list);
    static rd_kafka_message_t *messages[10000];
    long seen = 0;
    unsigned long sum = 0;
    while (seen < count) {
        // As ours: what is there at once, else wait for the first.
        ssize_t got = rd_kafka_consume_batch_queue(queue, 0, messages, 10000);
        if (got == 0) got = rd_kafka_consume_batch_queue(queue, 100, messages, 1);
        for (ssize_t i = 0; i < got; i++) {
            if (!messages[i]->err) {
                if (messages[i]->len != bytes) die("consume", "a record of another size");
                sum += ((const unsigned char *)messages[i]->payload)[0];
                seen++;
            }
            rd_kafka_message_destroy(messages[i]);
        }
    }
    double seconds = now() - start;
    if (sum == 0) die("consume", "empty records");
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
    return seconds;
}

int main(int argc, char **argv) {
    if (argc != 6) die("usage", "kafka_peer produce|consume SERVERS TOPIC COUNT BYTES");
    double (*run)(const char *, const char *, long, size_t) = strcmp(argv[1], "produce") ? consume : produce;
    printf("%.6f\n", run(argv[2], argv[3], atol(argv[4]), (size_t)atol(argv[5])));
    return 0;
}
