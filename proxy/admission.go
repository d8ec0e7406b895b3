package proxy

import (
	"errors"
	"io"
	"math"
	"runtime"
	"runtime/debug"
	"time"

	"gatehouse/proxy/inspect"
	"gatehouse/proxy/limit"
)

// Admission bounds what all requests together may take, so that load costs requests (503 with Retry-After, reason shed,
// counted by lane) and never the process. A field that is 0 takes its default.
type Admission struct {
	// InflightBytes is how many bytes of bodies are held at once, in memory and in spill files: 512 MiB, or half of
	// GOMEMLIMIT if that is less.
	InflightBytes int64
	// Requests is how many requests are served at once, but for WebSockets once they are open: 10,000. ClientRequests is how
	// many of them one client may have: a quarter. Addresses of trusted proxies, behind which are many clients, may have any
	// number.
	Requests, ClientRequests int
	// LargeInspections is how many bodies over inspect.LargeBody are judged at once: as many as there are processors.
	LargeInspections int
	// Queue is how many more requests may wait for that, and Wait for how long: 256, for 10 seconds.
	Queue int
	Wait  time.Duration
	// Deadline is how long a request may take from its header until its body is taken in: 5 minutes.
	Deadline time.Duration
	// ClientConnections is how many connections one client may have open: 1,000. Trusted proxies, behind which are many
	// clients, may have any number.
	ClientConnections int
	// BodyRate is how many bytes a second a client must send of a body on average, once it has let the gateway wait for
	// BodyGrace: 500, and 30 seconds. Time in which the gateway does not read does not count.
	BodyRate  int
	BodyGrace time.Duration
}

const (
	defaultInflightBytes     = 512 << 20
	defaultRequests          = 10_000
	defaultQueue             = 256
	defaultWait              = 10 * time.Second
	defaultDeadline          = 5 * time.Minute
	defaultClientConnections = 1000
	defaultBodyRate          = 500
	defaultBodyGrace         = 30 * time.Second
)

// complete fills in the defaults.
func (a *Admission) complete() {
	if a.InflightBytes == 0 {
		a.InflightBytes = defaultInflightBytes
		if most := debug.SetMemoryLimit(-1); most != math.MaxInt64 {
			a.InflightBytes = min(a.InflightBytes, most/2)
		}
	}
	if a.LargeInspections == 0 {
		a.LargeInspections = runtime.GOMAXPROCS(0)
	}
	setDefault(&a.Requests, defaultRequests)
	setDefault(&a.ClientRequests, max(1, a.Requests/4))
	setDefault(&a.Queue, defaultQueue)
	setDefault(&a.Wait, defaultWait)
	setDefault(&a.Deadline, defaultDeadline)
	setDefault(&a.ClientConnections, defaultClientConnections)
	setDefault(&a.BodyRate, defaultBodyRate)
	setDefault(&a.BodyGrace, defaultBodyGrace)
}

func setDefault[T int | time.Duration](v *T, value T) {
	if *v == 0 {
		*v = value
	}
}

// admission is what an Admission became.
type admission struct {
	Admission
	requests    limit.Budget
	clients     *limit.Clients // of requests
	large       *limit.Lane
	connections *limit.Clients
}

func newAdmission(a Admission, spill *inspect.SpillDir) *admission {
	a.complete()
	spill.Budget.SetMost(a.InflightBytes)
	out := &admission{
		Admission: a, large: limit.NewLane(a.LargeInspections, a.Queue, a.Wait), connections: limit.NewClients(a.ClientConnections),
		clients: limit.NewClients(a.ClientRequests),
	}
	out.requests.SetMost(int64(a.Requests))
	return out
}

// enter counts the request among those that are served, and refuses it if they are too many, or too many of its client.
func (x *exchange) enter() *inspect.Refusal {
	a, client := x.server.admission, &x.out.Client
	if !client.Shared && !a.clients.Take(client.Addr.Addr()) {
		return inspect.Shed(inspect.LaneRequests)
	}
	if !a.requests.Take(1) {
		if !client.Shared {
			a.clients.Give(client.Addr.Addr())
		}
		return inspect.Shed(inspect.LaneRequests)
	}
	x.admitted = true
	return nil
}

// leave takes the request off those that are served, once.
func (x *exchange) leave() {
	if !x.admitted {
		return
	}
	x.admitted = false
	a, client := x.server.admission, &x.out.Client
	a.requests.Give(1)
	if !client.Shared {
		a.clients.Give(client.Addr.Addr())
	}
}

var (
	errSlowBody = errors.New("the client sends the request body too slowly")
	errDeadline = errors.New("the request body did not arrive before the deadline")
)

// pacedBody ends the body of a client that sends too slowly: a stall is the listener's to notice (timeouts.body_idle), a
// trickle is seen here. Until taken is called, it also ends one that is not there at the deadline.
type pacedBody struct {
	io.ReadCloser
	bounds   *Admission
	deadline time.Time // zero once the body is taken in
	waited   time.Duration
	received int64
}

func (x *exchange) pacedBody() *pacedBody {
	a := &x.server.admission.Admission
	return &pacedBody{ReadCloser: x.request.Body, bounds: a, deadline: x.start.Add(a.Deadline)}
}

// taken says that the gateway has of the body what it judges.
func (b *pacedBody) taken() { b.deadline = time.Time{} }

// Read reads from the client; only the time in here is the client's.
func (b *pacedBody) Read(p []byte) (int, error) {
	begin := time.Now()
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		return n, err
	}
	end := time.Now()
	b.waited += end.Sub(begin)
	b.received += int64(n)
	if !b.deadline.IsZero() && end.After(b.deadline) {
		return n, errDeadline
	}
	if late := b.waited - b.bounds.BodyGrace; late > 0 && float64(b.received) < late.Seconds()*float64(b.bounds.BodyRate) {
		return n, errSlowBody
	}
	return n, nil
}
