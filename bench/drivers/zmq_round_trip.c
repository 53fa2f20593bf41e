/* libzmq at both ends: `zmq_round_trip rep ENDPOINT` echoes; `zmq_round_trip req ENDPOINT COUNT BODY` prints the median of
   COUNT round trips in microseconds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static int ascending(const void *left, const void *right) {
    double difference = *(const double *)left - *(const double *)right;
    return (difference > 0) - (difference < 0);
}

int main(int count, char **arguments) {
    static char reply[1 << 16];
    if (count < 3) return 2;
    void *context = zmq_ctx_new();
    if (strcmp(arguments[1], "rep") == 0) {
        void *socket = zmq_socket(context, ZMQ_REP);
        if (zmq_bind(socket, arguments[2]) != 0) return perror(arguments[2]), 1;
        for (;;) {
            int length = zmq_recv(socket, reply, sizeof reply, 0);
            if (length < 0 || zmq_send(socket, reply, length, 0) < 0) return 1;
        }
    }
    if (count < 5) return 2;
    void *socket = zmq_socket(context, ZMQ_REQ);
    if (zmq_connect(socket, arguments[2]) != 0) return perror(arguments[2]), 1;
    int trips = atoi(arguments[3]);
    double *times = malloc(trips * sizeof *times);
    for (int trip = -200; trip < trips; trip++) {
        double begun = now();
        if (zmq_send(socket, arguments[4], strlen(arguments[4]), 0) < 0) return 1;
        int length = zmq_recv(socket, reply, sizeof reply - 1, 0);
        if (length < 0) return 1;
        reply[length] = 0;
        if (trip >= 0) times[trip] = now() - begun;
        if (trip == 0 && strstr(reply, "\"fail\"")) return fprintf(stderr, "%s\n", reply), 1;
    }
    qsort(times, trips, sizeof *times, ascending);
    printf("%.1f\n", times[trips / 2]);
    return 0;
}
