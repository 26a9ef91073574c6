/* aio_fsync.c - writes to file.txt and synchronizes it.
 *
 * An example program of the POSIX AIO documentation that users start from, kept word for word.
 * Only the #include lines above the line of dashes were missing and have been added.
 */
#include <errno.h>
#include <strings.h>
#include <unistd.h>
/* ------------------------------------------------------------------------------------------ */
#include <stdio.h>
#include <aio.h>
#include <fcntl.h>

int main(int argc, char *argv[])
{
    int fd;
    struct aiocb aiocb;
    char buf[100] = "Hello, world!";
    
    /* Open a file */
    fd = open("file.txt", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd == -1) {
        perror("open");
        return 1;
    }
    
    /* Write some data to the file */
    if (write(fd, buf, sizeof(buf)) == -1) {
        perror("write");
        return 1;
    }
    
    /* Set up the aiocb struct */
    bzero(&aiocb, sizeof(struct aiocb));
    aiocb.aio_fildes = fd;
    
    /* Start the synchronization operation */
    if (aio_fsync(O_SYNC, &aiocb) == -1) {
        perror("aio_fsync");
        return 1;
    }
    
    /* Wait for the synchronization operation to complete */
    while (aio_error(&aiocb) == EINPROGRESS);
    
    close(fd);
    return 0;
}
