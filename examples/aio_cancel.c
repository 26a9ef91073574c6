/* aio_cancel.c - tries to cancel a read just started.
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
    char buf[BUFSIZE];
    
    /* Open a file */
    fd = open("file.txt", O_RDONLY);
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
	
	/* Start the read operation */
	if (aio_read(&aiocb) == -1) {
	    perror("aio_read");
	    return 1;
	}
	
	/* Try to cancel the operation */
	int cancel_status = aio_cancel(fd, &aiocb);
	if (cancel_status == AIO_CANCELED) {
	    printf("Read operation was successfully canceled.\n");
	} else if (cancel_status == AIO_NOTCANCELED) {
	    printf("Read operation could not be canceled.\n");
	} else if (cancel_status == AIO_ALLDONE) {
	    printf("Read operation had already completed.\n");
	} else {
	    printf("Error canceling read operation: %d\n", errno);
	}
	close(fd);
	return 0;
}
