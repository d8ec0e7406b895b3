package reply

import (
	"net/http"

	"gatehouse/proxy/event"
)

// message is what a client is told.
type message struct {
	title string // a few words
	text  string // one sentence or two
}

// describe says what happened, by kind: a client learns nothing of rules, lists and thresholds.
func describe(reason event.Reason, status int) message {
	switch reason {
	case event.Action:
		if status == http.StatusTooManyRequests {
			return describe(event.RateLimit, status)
		}
		return message{"This request was refused", "The site does not take this request at the moment."}
	case event.CRSScore, event.Rule, event.List:
		return message{"This request was refused", "The request looked as if it could harm this site, so it was stopped."}
	case event.WorkBound, event.Arguments:
		return message{"This request was refused", "The request is too complex to be checked, so it was stopped."}
	case event.RateLimit:
		return message{"Too many requests", "There were too many requests in a short time. Wait a moment, then try again."}
	case event.BadRequest, event.BodySyntax, event.Doctype:
		return message{"This request is not valid", "The request does not follow the rules of its format, so it could not be read safely."}
	case event.PathRefused:
		return message{"This address is not valid", "The address of the request is written in a way that this site does not accept."}
	case event.HeaderTooLarge:
		return message{"The request is too large", "The header of the request is too large. Deleting this site's cookies often helps."}
	case event.HeaderTimeout, event.BodyTimeout:
		return message{"The request took too long", "The request did not arrive in time. Check your connection, then try again."}
	case event.MethodRefused, event.MethodNoRoute:
		return message{"This method is not allowed", "This address does not accept requests with this method."}
	case event.NoRoute:
		return message{"Page not found", "There is nothing at this address."}
	case event.UnknownHost:
		return message{"This site is not served here", "This server does not know the site that the request asks for."}
	case event.UpgradeRefused:
		return message{"This connection is not allowed", "This address does not accept the change of protocol that the request asks for."}
	case event.BodyTooLarge, event.BodyNotInspect:
		return message{"The request is too large", "The request, or a file in it, is larger than this site accepts."}
	case event.ContentType, event.Charset, event.ContentEncoding:
		return message{"This content is not accepted", "This address does not accept content of this type, character set or encoding."}
	case event.InspectionError:
		return message{"The request could not be checked", "The request could not be checked, so it was not let through. Try again in a moment."}
	case event.UpstreamTimeout:
		return message{"The site took too long", "The site did not answer in time. Try again in a moment."}
	case event.UpstreamDown, event.UpstreamError:
		return message{"The site is not available", "The site cannot be reached, or gave no valid answer. Try again in a moment."}
	case event.Shed, event.Draining:
		return message{"The site is busy", "The site cannot take this request right now. Try again in a few seconds."}
	case event.Internal:
		return message{"Something went wrong", "The request could not be handled because of a fault on our side. Try again in a moment."}
	}
	switch {
	case status == http.StatusNotFound:
		return message{"Page not found", "There is nothing at this address."}
	case status >= 500:
		return message{"The site is not available", "The request could not be handled right now. Try again in a moment."}
	}
	return message{"This request was refused", "The site did not accept this request."}
}

// message is what the client of this reply is told. A reply of the site's that was stopped is no fault of the client's.
func (p *Reply) message() message {
	if !p.Outbound {
		return describe(p.Reason, p.Status)
	}
	switch p.Reason {
	case event.CRSScore, event.Rule, event.List:
		return message{"This reply was stopped", "The site's reply held something that should not leave it, so it was stopped. Your request was not the reason."}
	case event.WorkBound, event.Arguments:
		return message{"This reply was stopped", "The site's reply is too complex to be checked, so it was stopped. Your request was not the reason."}
	}
	return describe(p.Reason, p.Status)
}

// view is what a page shows.
type view struct {
	Incident string // GH-XXXX-XXXX-XXXX, or empty
	Time     string // 2026-07-01 12:34:56 UTC
	Host     string // as the client sent it, or empty
	Contact  string // as configured, or empty
	Status   int
	Title    string
	Message  string
}

const timeLayout = "2006-01-02 15:04:05 UTC"

func (p *Reply) view() view {
	m := p.message()
	return view{
		Incident: p.Incident, Time: p.Time.Format(timeLayout), Host: p.Host, Contact: p.Contact, Status: p.Status,
		Title: m.title, Message: p.sentence(m),
	}
}

// sentence is the message with the reply's own detail.
func (p *Reply) sentence(m message) string {
	if p.Detail == "" {
		return m.text
	}
	return m.text + " " + p.Detail
}
