package api

// allRoutes declares every route, subject by subject.
func (a *API) allRoutes() {
	a.describe()
	a.sessionRoutes()
	a.userRoutes()
	a.tokenRoutes()
	a.auditRoutes()
	a.objectRoutes()
	a.partRoutes()
	a.changeRoutes()
	a.publishRoutes()
	a.revisionRoutes()
	a.rolloutRoutes()
	a.importRoutes()
	a.gatewayRoutes()
	a.joinTokenRoutes()
	a.trustRoutes()
	a.actionRoutes()
	a.eventRoutes()
}
