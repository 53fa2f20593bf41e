#include <stdio.h>
#include <stdlib.h>

/* Prints the sum of its arguments. */
int main(int count, char **arguments) {
    long sum = 0;
    for (int index = 1; index < count; index++) {
        sum += strtol(arguments[index], NULL, 10);
    }
    printf("%ld\n", sum);
    return 0;
}
