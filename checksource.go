package weir

// discoverySource: who is believed at the place has no key here.
func (c *checker) discoverySource(o *Object, d *DiscoverySource) {
	name := d.Authority()
	if cert := Find[Certificate](c.after, "Certificate", name); cert != nil && cert.HasKey() {
		c.add(o.Ref(), "spec."+d.Driver()+".authority", "Certificate/%s has a key; an authority to believe is one without", name)
	}
}
