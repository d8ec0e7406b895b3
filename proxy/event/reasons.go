package event

// Reasons lists every reason, in the order of its declaration. Metrics and documents are checked against it.
func Reasons() []Reason {
	return []Reason{
		CRSScore, Rule, List, RateLimit, Action,
		BadRequest, HeaderTooLarge, HeaderTimeout, MethodRefused, NoRoute, MethodNoRoute, UnknownHost, UpgradeRefused,
		PathRefused, BodyTooLarge, BodyNotInspect, BodyTimeout, ContentType, Charset, ContentEncoding, Doctype,
		BodySyntax, Arguments, WorkBound, InspectionError,
		UpstreamTimeout, UpstreamDown, UpstreamError, Shed, Draining, Internal,
	}
}
