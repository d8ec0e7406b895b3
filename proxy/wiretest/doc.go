// Package wiretest sends bytes to an HTTP server on a raw socket and holds what comes back, and what a recording
// upstream behind the server received, against cases in YAML files.
//
// Invariant: the runner knows nothing of HTTP that it shares with the server under test. Requests are bytes, the
// recorder (Recorder) keeps every byte that reaches it and reads it with a parser of its own that accepts the canonical
// form alone, and each connection that stays open is used once more: a request of which the server left some behind, or
// took too much, shows itself in the next one.
//
// # Format
//
//	families:
//	  - name: Content-Length
//	    template: "POST /cl HTTP/1.1\r\nHost: {host}\r\n{with}\r\n\r\nhello"
//	    status: 400
//	    cases:
//	      - { name: negative, with: "Content-Length: -5" }
//	      - { name: plus sign, with: "Content-Length: +5" }
//	      - { name: right, with: "Content-Length: 5", status: 200, upstream: [{ request: POST /cl, body: hello }] }
//
// A family gives its cases what they do not say themselves. Its name and a case's name are together unique in a file.
//
//	name      of the family or the case; required
//	send      what is sent: everything, from the first byte to the last
//	template  instead of send, for a family: {with} in it is replaced by the case's own with
//	with      what replaces {with}
//	listener  where it is sent to, a word of the test that runs the cases; without it the test's first
//	status    what the server answers: a status; a list of them, one a reply; or closed, for none at all. Required
//	end       what becomes of the connection after the last reply: open, closed or any. Without it open if the last
//	          status is under 400, closed if it is 400, 408, 431 or 505 or there is none, any otherwise
//	half      true: the sender ends its half of the connection after the last byte
//	upstream  the requests that reach the upstream, in order; required if a status is under 300, else none may
//	tunnel    what reaches the upstream on a connection that it has upgraded; without it nothing may
//
// A request at the upstream is its method and target ("GET /a"), or a mapping:
//
//	request   method and target; required
//	body      the body without its framing; without it there must be none
//	fields    header fields that must be there, each "Name: value", once and no other of the name
//	absent    names that must not be there, in any case and with _ for -
//
// Texts are bytes: a character from U+0000 to U+00FF is the byte of that value, so in double quotes every byte can be
// written ("\r\n", "\x00", "\xff"), and others are errors. {host} is replaced by each of the hosts that the test runs the
// cases for; a case without it runs once. {repeat TEXT N} is N times TEXT.
//
// Errors name the file and the line.
package wiretest
