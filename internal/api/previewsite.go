package api

import (
	"fmt"

	"weir"
)

// SitePreview is in which order requests are held against the routes of a site, or would be if it were as it was sent.
type SitePreview struct {
	// Revision is the moment at which the Routes of others were looked at.
	Revision int64  `json:"revision"`
	Site     string `json:"site"`
	// Routes are in their order, the first that matches counts: the site's own and those that Routes add.
	Routes []PreviewedRoute `json:"routes"`
	// Hidden counts the Routes that the caller may not see; the order leaves them out.
	Hidden int `json:"hidden,omitempty"`
}

// PreviewedRoute is a route at its place.
type PreviewedRoute struct {
	// Object is that which holds the route, Field where: "Site/www" with "routes[2]", or "Route/films" with "".
	Object string `json:"object"`
	Field  string `json:"field,omitempty"`
	Role   string `json:"role,omitempty"`
	// Why says what gives it its place, Ahead what brings it before the next one, which is empty for the last.
	Why   string `json:"why"`
	Ahead string `json:"ahead,omitempty"`
	weir.SiteRoute
}

// previewSite tells of a site that need not be there.
func (c *call) previewSite(kind weir.Kind) error {
	o, err := c.one(kind)
	if err != nil {
		return err
	}
	if err := c.may(o); err != nil {
		return err
	}
	view := c.h.opts.Store.View()
	c.revision = view.Revision
	answer := SitePreview{Revision: view.Revision, Site: o.Metadata.Name, Routes: []PreviewedRoute{}}
	var list []weir.SiteRoute
	var owners []PreviewedRoute
	for i, r := range o.Spec.(*weir.Site).Routes {
		list = append(list, r)
		owners = append(owners, PreviewedRoute{Object: o.Ref().String(), Field: fmt.Sprintf("routes[%d]", i), Role: o.Metadata.Role})
	}
	for ref := range view.ReferrersOf("Route", o.Ref()) {
		added := view.Get(ref)
		if added == nil {
			continue
		}
		if c.may(added) != nil {
			answer.Hidden++
			continue
		}
		r := added.Spec.(*weir.Route)
		list = append(list, weir.SiteRoute{Match: r.Match, Action: &r.Action})
		owners = append(owners, PreviewedRoute{Object: ref.String(), Role: added.Metadata.Role})
	}
	for _, placed := range weir.OrderRoutes(list) {
		p := owners[placed.Index]
		p.Why, p.Ahead, p.SiteRoute = placed.Why, placed.Ahead, list[placed.Index]
		answer.Routes = append(answer.Routes, p)
	}
	return c.answer(200, answer)
}
