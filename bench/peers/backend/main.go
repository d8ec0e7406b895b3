// Command backend answers every request with the same 1,024 bytes, after it has read the body. It is made to cost little,
// for proxies that send nothing but what is right.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

var reply = []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nServer: backend\r\nCache-Control: no-store\r\nContent-Length: 1024\r\n\r\n" +
	strings.Repeat("<p>A page of the shop.</p>\n", 40)[:1024])

func main() {
	listen := flag.String("listen", "127.0.0.1:9000", "`address` to listen on")
	flag.Parse()
	l, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		c, err := l.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go serve(c)
	}
}

// serve answers on one connection until it is closed or cannot be read.
func serve(c net.Conn) {
	defer c.Close()
	in := bufio.NewReaderSize(c, 16<<10)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if _, err := c.Write(reply); err != nil || r.Close {
			return
		}
	}
}
