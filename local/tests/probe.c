/* What the cluster's test runs in a pod: `probe` serves on 8080 until SIGTERM; `probe HOST PORT` connects. */
#include <netdb.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void quit(int signal) { (void)signal; _exit(0); }

static int serve(void) {
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(8080)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), client;
    signal(SIGTERM, quit); /* process 1 has no default action */
    if (bind(listener, (struct sockaddr *)&any, sizeof any) || listen(listener, 8)) return perror("listen"), 1;
    while ((client = accept(listener, 0, 0)) >= 0) close(client);
    return 1;
}

static int reach(const char *host, const char *port) {
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found;
    int error = getaddrinfo(host, port, &hints, &found), fd;
    if (error) return fprintf(stderr, "%s: %s\n", host, gai_strerror(error)), 2;
    alarm(5); /* ends the process: no answer is a failure */
    fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, found->ai_addr, found->ai_addrlen)) return perror(host), 3;
    return 0;
}

int main(int count, char **words) { return count == 3 ? reach(words[1], words[2]) : serve(); }
