package weir

// siteLimits: a site that sees connections alone can't have a limit on requests.
func (c *checker) siteLimits(o *Object, s *Site) {
	if s.Mode == "http" {
		return
	}
	for i, name := range s.RateLimits {
		if l := Find[RateLimit](c.after, "RateLimit", name); l != nil {
			if why := l.ForConnections(); why != "" {
				c.add(o.Ref(), index("spec.rateLimits", i), "RateLimit/%s %s", name, why)
			}
		}
	}
}

// rateLimit: a limit that changes still suits the sites that name it.
func (c *checker) rateLimit(o *Object, l *RateLimit) {
	why := l.ForConnections()
	if why == "" {
		return
	}
	var list sample
	for r := range c.after.ReferrersOf("Site", o.Ref()) {
		if site := Find[Site](c.after, r.Kind, r.Name); !c.written[r] && site != nil && site.Mode != "http" && list.add(r.String()) {
			break
		}
	}
	if !list.empty() {
		c.add(o.Ref(), "spec", "%s to it, which sees connections and no requests, but the limit %s", list.refer(), why)
	}
}
