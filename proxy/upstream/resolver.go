package upstream

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// ResolverOptions says whom to ask for addresses. The zero value reads the system's files.
type ResolverOptions struct {
	// Servers are asked in order, each "address:port". Empty means the name servers of ResolvConf.
	Servers []string
	// ResolvConf gives servers, search domains and options; it is read again for every look-up. Empty means
	// /etc/resolv.conf.
	ResolvConf string
	// Hosts maps names to addresses before DNS is asked. Empty means /etc/hosts.
	Hosts string
	// Timeout bounds one question to one server. Zero means 2 s.
	Timeout time.Duration
}

const (
	// minRefresh and maxRefresh bound how long an answer is used, whatever its TTL says.
	minRefresh = time.Second
	maxRefresh = 30 * time.Second
	// maxAliases bounds a chain of CNAME records.
	maxAliases = 8
	// udpSize is the largest answer taken over UDP: what passes without fragments (dnsflagday.net/2020).
	udpSize = 1232
)

var errNoSuchHost = errors.New("no such host")

// resolver looks names up. It keeps nothing between look-ups and is safe for concurrent use.
type resolver struct{ o ResolverOptions }

func newResolver(o ResolverOptions) *resolver {
	if o.ResolvConf == "" {
		o.ResolvConf = "/etc/resolv.conf"
	}
	if o.Hosts == "" {
		o.Hosts = "/etc/hosts"
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	return &resolver{o}
}

// answer is what a name resolved to.
type answer struct {
	addrs []netip.Addr // sorted, without duplicates
	ttl   time.Duration
}

// refresh is when to ask again.
func (a answer) refresh() time.Duration { return min(max(a.ttl, minRefresh), maxRefresh) }

// lookup gives the addresses of a host: from the hosts file, else A and AAAA records of the first name of the search
// list that has any. A server that fails ends the search: the next name could be somebody else's.
func (r *resolver) lookup(ctx context.Context, host string) (answer, error) {
	if addrs := r.fromHosts(host); len(addrs) > 0 {
		return answer{addrs, maxRefresh}, nil
	}
	conf, err := r.config()
	if err != nil {
		return answer{}, err
	}
	for _, name := range conf.NameList(host) {
		a, err := r.lookupName(ctx, conf, name)
		if err != nil {
			return answer{}, err
		}
		if len(a.addrs) > 0 {
			slices.SortFunc(a.addrs, netip.Addr.Compare)
			a.addrs = slices.Compact(a.addrs)
			return a, nil
		}
	}
	return answer{}, fmt.Errorf("look up %s: %w", host, errNoSuchHost)
}

// lookupName asks for both families of one name. One family is enough when the other cannot be had.
func (r *resolver) lookupName(ctx context.Context, conf *dns.ClientConfig, name string) (answer, error) {
	type result struct {
		answer
		err error
	}
	types := []uint16{dns.TypeA, dns.TypeAAAA}
	results := make(chan result, len(types))
	for _, t := range types {
		go func() {
			a, err := r.ask(ctx, conf, name, t)
			results <- result{a, err}
		}()
	}
	var all answer
	var errs []error
	for range types {
		res := <-results
		if res.err != nil {
			errs = append(errs, res.err)
			continue
		}
		if len(res.addrs) == 0 {
			continue
		}
		if len(all.addrs) == 0 || res.ttl < all.ttl {
			all.ttl = res.ttl
		}
		all.addrs = append(all.addrs, res.addrs...)
	}
	if len(all.addrs) == 0 && len(errs) > 0 {
		return answer{}, errors.Join(errs...)
	}
	return all, nil
}

// ask gives the addresses of one family, following aliases. No such name is an empty answer.
func (r *resolver) ask(ctx context.Context, conf *dns.ClientConfig, name string, qtype uint16) (answer, error) {
	a := answer{ttl: maxRefresh}
	for range maxAliases {
		reply, err := r.exchange(ctx, conf, name, qtype)
		if err != nil {
			return answer{}, fmt.Errorf("look up %s %s: %w", name, dns.TypeToString[qtype], err)
		}
		last := a.collect(reply.Answer, name)
		if len(a.addrs) > 0 || last == dns.CanonicalName(name) || reply.Rcode == dns.RcodeNameError {
			return a, nil
		}
		name = last
	}
	return answer{}, fmt.Errorf("look up %s: more than %d aliases", name, maxAliases)
}

// collect adds the addresses at the end of the chain of aliases that begins at name, and gives that end.
func (a *answer) collect(records []dns.RR, name string) (last string) {
	last = dns.CanonicalName(name)
	lower := func(h *dns.RR_Header) { a.ttl = min(a.ttl, time.Duration(h.Ttl)*time.Second) }
	for range maxAliases {
		i := slices.IndexFunc(records, func(rr dns.RR) bool {
			_, alias := rr.(*dns.CNAME)
			return alias && dns.CanonicalName(rr.Header().Name) == last
		})
		if i < 0 {
			break
		}
		lower(records[i].Header())
		last = dns.CanonicalName(records[i].(*dns.CNAME).Target)
	}
	for _, rr := range records {
		if dns.CanonicalName(rr.Header().Name) != last {
			continue
		}
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if addr, ok := netip.AddrFromSlice(ip); ok {
			a.addrs = append(a.addrs, addr.Unmap())
			lower(rr.Header())
		}
	}
	return last
}

// exchange asks the servers in order, over again as often as the configuration says, until one answers.
func (r *resolver) exchange(ctx context.Context, conf *dns.ClientConfig, name string, qtype uint16) (*dns.Msg, error) {
	var errs []error
	for range max(conf.Attempts, 1) {
		for _, server := range conf.Servers {
			reply, err := r.exchangeOne(ctx, server, name, qtype)
			if err == nil {
				return reply, nil
			}
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			errs = append(errs, fmt.Errorf("server %s: %w", server, err))
		}
	}
	return nil, errors.Join(errs...)
}

// exchangeOne asks one server over UDP, over TCP if the answer is cut, and without EDNS if the server knows none.
func (r *resolver) exchangeOne(ctx context.Context, server, name string, qtype uint16) (*dns.Msg, error) {
	q := new(dns.Msg).SetQuestion(name, qtype)
	q.SetEdns0(udpSize, false)
	network := "udp"
	for {
		c := dns.Client{Net: network, Timeout: r.o.Timeout}
		reply, _, err := c.ExchangeContext(ctx, q, server)
		if err != nil {
			return nil, err
		}
		switch {
		case len(reply.Question) != 1 || reply.Question[0].Qtype != qtype ||
			dns.CanonicalName(reply.Question[0].Name) != dns.CanonicalName(name):
			return nil, errors.New("the reply is to another question")
		case reply.Truncated && network == "udp":
			network = "tcp"
		case reply.Rcode == dns.RcodeSuccess || reply.Rcode == dns.RcodeNameError:
			return reply, nil
		case (reply.Rcode == dns.RcodeFormatError || reply.Rcode == dns.RcodeNotImplemented) && q.IsEdns0() != nil:
			q.Extra = nil
		default:
			return nil, fmt.Errorf("the server answered %s", dns.RcodeToString[reply.Rcode])
		}
	}
}

// config gives servers, search list and attempts.
func (r *resolver) config() (*dns.ClientConfig, error) {
	if len(r.o.Servers) > 0 {
		return &dns.ClientConfig{Servers: r.o.Servers, Ndots: 1, Attempts: 2}, nil
	}
	conf, err := dns.ClientConfigFromFile(r.o.ResolvConf)
	if err != nil {
		return nil, fmt.Errorf("read the resolver's configuration: %w", err)
	}
	if len(conf.Servers) == 0 {
		conf.Servers = []string{"127.0.0.1"} // as resolv.conf(5) says
	}
	for i, s := range conf.Servers {
		conf.Servers[i] = net.JoinHostPort(s, conf.Port)
	}
	return conf, nil
}

// fromHosts gives the addresses of a name in the hosts file. A file that cannot be read holds none.
func (r *resolver) fromHosts(host string) []netip.Addr {
	f, err := os.Open(r.o.Hosts)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	host = strings.TrimSuffix(host, ".")
	var addrs []netip.Addr
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(line)
		if len(fields) < 2 || !slices.ContainsFunc(fields[1:], func(s string) bool { return strings.EqualFold(s, host) }) {
			continue
		}
		if addr, err := netip.ParseAddr(fields[0]); err == nil {
			addrs = append(addrs, addr.Unmap())
		}
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs)
}
