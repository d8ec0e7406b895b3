package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var updateScripts = flag.Bool("update", false, "write the golden texts of the scripts")

// patience is how long a script waits for something to happen.
const patience = 20 * time.Second

// scriptCommands are what scripts may use besides testscript's own commands.
//
//	ports NAME...            sets each variable to a free address such as 127.0.0.1:21234
//	expand FILE...           replaces ${NAME} in the files by the variables
//	httpget [flags] URL      sends a request; its status line, header and body are stdout.
//	                         -m METHOD, -H 'Name: value', -d BODY, -until STATUS and -match REGEXP repeat it until
//	                         the answer has that status and a match, -status STATUS wants it at once
//	capture NAME FILE REGEXP sets a variable to the first match in the file (or stdout, stderr)
//	waitfor FILE REGEXP      waits until the file has a match
//	normalize FILE NAME...   replaces the ports of the variables in the file by their names, of five letters as ports
//	                         have digits, so that columns stay aligned
//	json FILE                wants one JSON document
//	exits CODE PROGRAM ARG...  runs a program and wants this exit code
func scriptCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"ports": scriptPorts, "expand": scriptExpand, "httpget": scriptGet, "capture": scriptCapture, "waitfor": scriptWaitFor,
		"normalize": scriptNormalize, "exits": scriptExits, "json": scriptJSON,
	}
}

func scriptPorts(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: ports NAME...")
	}
	for _, name := range args {
		address, err := freeAddress()
		ts.Check(err)
		ts.Setenv(name, address)
		ts.Setenv(name+"_PORT", address[strings.LastIndexByte(address, ':')+1:])
	}
}

// givenAddresses are those that freeAddress gave: somebody may be about to listen there.
var givenAddresses sync.Map

// freeAddress finds an address on which nobody listens, below the ports that the system hands out for :0 and for
// outgoing connections, so that no other test takes it before it is used.
func freeAddress() (string, error) {
	for range 100 {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(12000)))
		if _, given := givenAddresses.LoadOrStore(address, true); given {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		return address, l.Close()
	}
	return "", errors.New("no free port was found")
}

func scriptExpand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: expand FILE...")
	}
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

func scriptGet(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("httpget", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	method := flags.String("m", "", "")
	body := flags.String("d", "", "")
	until := flags.Int("until", 0, "")
	match := flags.String("match", "", "")
	status := flags.Int("status", 0, "")
	header := http.Header{}
	flags.Func("H", "", func(line string) error {
		name, value, found := strings.Cut(line, ": ")
		if !found {
			return errors.New("not Name: value")
		}
		header.Add(name, value)
		return nil
	})
	if err := flags.Parse(args); neg || err != nil || flags.NArg() != 1 {
		ts.Fatalf("usage: httpget [-m METHOD] [-H 'Name: value'] [-d BODY] [-until STATUS] [-match REGEXP] [-status STATUS] URL")
	}
	if *method == "" {
		*method = http.MethodGet
		if *body != "" {
			*method = http.MethodPost
		}
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	send := func() (int, string, error) {
		request, err := http.NewRequest(*method, flags.Arg(0), strings.NewReader(*body))
		if err != nil {
			return 0, "", err
		}
		request.Header = header.Clone()
		request.Host = header.Get("Host")
		response, err := client.Do(request)
		if err != nil {
			return 0, "", err
		}
		defer response.Body.Close()
		var out strings.Builder
		fmt.Fprintf(&out, "%s %s\n", response.Proto, response.Status)
		ts.Check(response.Header.Write(&out))
		out.WriteString("\n")
		_, err = io.Copy(&out, response.Body)
		return response.StatusCode, out.String(), err
	}
	want := regexp.MustCompile("(?m)" + *match)
	got, text, err := send()
	for deadline := time.Now().Add(patience); *until != 0 && got != *until || !want.MatchString(text); time.Sleep(20 * time.Millisecond) {
		if *until == 0 && *match == "" || time.Now().After(deadline) {
			ts.Fatalf("%s %s: not %d with %q within %v: got %d %v\n%s", *method, flags.Arg(0), *until, *match, patience, got, err, text)
		}
		got, text, err = send()
	}
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), text)
	if *status != 0 && got != *status {
		ts.Fatalf("%s %s: got %d, want %d\n%s", *method, flags.Arg(0), got, *status, text)
	}
}

func scriptCapture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture NAME FILE REGEXP")
	}
	found := regexp.MustCompile(args[2]).FindString(ts.ReadFile(args[1]))
	if found == "" {
		ts.Fatalf("%s has no match of %s", args[1], args[2])
	}
	ts.Setenv(args[0], found)
}

func scriptWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor FILE REGEXP")
	}
	want := regexp.MustCompile("(?m)" + args[1])
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && want.Match(text) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s has no match of %s within %v: %v\n%s", args[0], args[1], patience, err, text)
		}
	}
}

func scriptNormalize(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: normalize FILE NAME...")
	}
	text := ts.ReadFile(args[0])
	for _, name := range args[1:] {
		text = strings.ReplaceAll(text, ":"+ts.Getenv(name+"_PORT"), ":"+name)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit interface{ ExitCode() int }
	if errors.As(err, &exit) {
		code, err = exit.ExitCode(), nil
	}
	ts.Check(err)
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s: exit code %d, want %s", strings.Join(args[1:], " "), code, args[0])
	}
}

func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: json FILE")
	}
	if !json.Valid([]byte(ts.ReadFile(args[0]))) {
		ts.Fatalf("%s is not a JSON document", args[0])
	}
}

// runUpstream is the command testupstream ADDRESS: it answers every request with 200 and what it received, until it is
// interrupted.
func runUpstream(args []string) int {
	if len(args) != 1 {
		fmt.Fprintln(os.Stderr, "usage: testupstream ADDRESS")
		return exitUsage
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	server := &http.Server{Addr: args[0], ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Header().Set("Content-Type", "text/plain")
		fmt.Fprintf(w, "the upstream received %s %s\n%s\n", r.Method, r.RequestURI, body)
	})}
	done := make(chan error, 1)
	go func() { done <- server.ListenAndServe() }()
	select {
	case err := <-done:
		fmt.Fprintln(os.Stderr, err)
		return exitFailed
	case <-ctx.Done():
		if err := server.Close(); err != nil {
			return exitFailed
		}
		return exitOK
	}
}

// TestFreeAddress shows that the addresses of scripts can be listened on.
func TestFreeAddress(t *testing.T) {
	seen := map[string]bool{}
	for range 20 {
		address, err := freeAddress()
		if err != nil {
			t.Fatal(err)
		}
		seen[address] = true
	}
	if len(seen) < 10 {
		t.Errorf("only %d different addresses in 20", len(seen))
	}
}
