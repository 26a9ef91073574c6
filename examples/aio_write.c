/* aio_write.c - writes a greeting to file.txt.
 *
 * An example program of the POSIX AIO documentation that users start from, kept word for word.
 * Only the #include lines above the line of dashes were missing and have been added.
 */
#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <unistd.h>
/* ------------------------------------------------------------------------------------------ */
#include <stdio.h>
#include <aio.h>

#define BUFSIZE 100

int main(int argc, char *argv[])
{
    int fd;
    struct aiocb aiocb;
    char buf[BUFSIZE] = "Hello, world!";
    
    /* Open a file */
    fd = open("file.txt", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd == -1) {
        perror("open");
        return 1;
    }
    
    /* Set up the aiocb struct */
    bzero(&aiocb, sizeof(struct aiocb));
    aiocb.aio_fildes = fd;
    aiocb.aio_buf = buf;
    aiocb.aio_nbytes = BUFSIZE;
    aiocb.aio_offset = 0;
    
    /* Start the write operation */
    if (aio_write(&aiocb) == -1) {
        perror("aio_write");
        return 1;
    }
    
    /* Wait for the write operation to complete */
    while (aio_error(&aiocb) == EINPROGRESS);
    
    close(fd);
    return 0;
}
