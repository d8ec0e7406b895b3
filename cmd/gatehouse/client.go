package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// apiClient asks a manager's API, for one command.
type apiClient struct {
	base *url.URL
	// auth are the headers that say who asks.
	auth http.Header
	http *http.Client
	// wait is how long to wait before a request is sent again.
	wait time.Duration
}

// clientFlags declares -api and -token-file, and gives the function that makes the client of them.
func clientFlags(flags *flag.FlagSet) func() (*apiClient, error) {
	api := apiFlag(flags)
	tokenFile := flags.String("token-file", "", "`file` with an API token (ght_...)")
	return func() (*apiClient, error) {
		if *tokenFile == "" {
			return nil, usagef("-token-file FILE is required: an API token, as gatehouse token create gives it")
		}
		return newAPIClient(*api, *tokenFile)
	}
}

func apiFlag(flags *flag.FlagSet) *string {
	return flags.String("api", "http://127.0.0.1:9080", "`URL` of the manager's API")
}

func newAPIClient(api, tokenFile string) (*apiClient, error) {
	client, err := openAPI(api)
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(tokenFile)
	if err != nil {
		return nil, fmt.Errorf("-token-file: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if !strings.HasPrefix(token, "ght_") || strings.ContainsAny(token, " \t\r\n") {
		return nil, fmt.Errorf("-token-file: %s does not hold an API token (ght_...)", tokenFile)
	}
	client.auth.Set("Authorization", "Bearer "+token)
	return client, nil
}

// openAPI makes a client that has yet to say who it is.
func openAPI(api string) (*apiClient, error) {
	base, err := url.Parse(strings.TrimSuffix(api, "/"))
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.Path != "" {
		return nil, usagef("-api: %q is not a URL such as https://manager.example.com", api)
	}
	if ip := net.ParseIP(base.Hostname()); base.Scheme == "http" && base.Hostname() != "localhost" && !(ip != nil && ip.IsLoopback()) {
		return nil, usagef("-api: %s would send secrets in clear; use https", api)
	}
	return &apiClient{base: base, auth: http.Header{}, wait: time.Second, http: &http.Client{
		// A redirect would carry the token to where it was not meant for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// apiProblem is what the manager has against a request.
type apiProblem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Location string `json:"location"`
		Message  string `json:"message"`
		Value    any    `json:"value"`
	} `json:"errors"`
	retryAfter time.Duration
}

// Error is the problem with a line for each place.
func (p *apiProblem) Error() string {
	var b strings.Builder
	b.WriteString(p.Detail)
	if p.Detail == "" {
		fmt.Fprintf(&b, "the manager answers %d %s", p.Status, p.Title)
	}
	if len(p.Errors) == 1 && strings.Contains(p.Detail, p.Errors[0].Message) {
		return b.String()
	}
	for _, e := range p.Errors {
		fmt.Fprintf(&b, "\n  %s: %s", e.Location, e.Message)
		if e.Value != nil {
			fmt.Fprintf(&b, " (it is %v)", e.Value)
		}
	}
	return b.String()
}

// apiTries is how often a request is sent whose answer did not arrive. Each has a key or can be sent again anyway.
const apiTries = 4

// call sends a request with in as JSON, unless it is nil, and reads the answer into out, unless that is nil. path is below /api/v1, with
// its query. headers are names and values. An error of the manager's is an *apiProblem.
func (a *apiClient) call(ctx context.Context, method, path string, in, out any, headers ...string) (http.Header, error) {
	body, header, err := a.stream(ctx, method, path, in, headers...)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, body)
		return header, err
	}
	if err := json.NewDecoder(body).Decode(out); err != nil && !(errors.Is(err, io.EOF) && header.Get("Content-Type") == "") {
		return nil, fmt.Errorf("read the manager's answer: %w", err)
	}
	return header, nil
}

// stream is call for answers that are no document. The caller closes the body.
func (a *apiClient) stream(ctx context.Context, method, path string, in any, headers ...string) (io.ReadCloser, http.Header, error) {
	var data []byte
	if in != nil {
		var err error
		if data, err = json.Marshal(in); err != nil {
			return nil, nil, err
		}
	}
	header := a.auth.Clone()
	header.Set("User-Agent", "gatehouse/"+version())
	if in != nil {
		header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost {
		header.Set("Idempotency-Key", rand.Text())
	}
	for i := 0; i+1 < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	for try := 1; ; try++ {
		response, err := a.send(ctx, method, path, data, header)
		if err == nil {
			return response.Body, response.Header, nil
		}
		var p *apiProblem
		wait := a.wait
		if errors.As(err, &p) {
			if p.Status != http.StatusServiceUnavailable && p.Status != http.StatusTooManyRequests && p.Status != http.StatusBadGateway {
				return nil, nil, err
			}
			wait = max(wait, min(p.retryAfter, 10*time.Second))
		}
		if try == apiTries || ctx.Err() != nil {
			return nil, nil, err
		}
		select {
		case <-ctx.Done():
			return nil, nil, err
		case <-time.After(wait):
		}
	}
}

func (a *apiClient) send(ctx context.Context, method, path string, body []byte, header http.Header) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.base.String()+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header = header
	response, err := a.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the manager: %w", err)
	}
	if response.StatusCode < http.StatusMultipleChoices {
		return response, nil
	}
	defer response.Body.Close()
	p := &apiProblem{}
	data, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20)) // what is cut off is no problem
	if err := json.Unmarshal(data, p); err != nil || p.Status == 0 {
		p = &apiProblem{Status: response.StatusCode, Title: http.StatusText(response.StatusCode)}
	}
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	p.retryAfter = time.Duration(seconds) * time.Second
	return nil, p
}

// eachOf calls each with every item of a list, page by page.
func eachOf[T any](ctx context.Context, a *apiClient, path string, query url.Values, each func(T) error) error {
	if query == nil {
		query = url.Values{}
	}
	for {
		var page struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}
		if _, err := a.call(ctx, http.MethodGet, path+"?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		for _, item := range page.Items {
			if err := each(item); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		query.Set("cursor", page.Next)
	}
}
