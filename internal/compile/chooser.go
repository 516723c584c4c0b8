package compile

import "weir"

// Chooser finds the pools that a server may belong to without looking at the others: a change can write as many
// servers as there are, beside thousands of pools. It never changes.
type Chooser struct {
	// selecting is by the role selected and each cluster; "" is for those that take any.
	selecting map[[2]string][]*weir.Object
	// members is by the names of static members.
	members map[string][]*weir.Object
}

func newChooser(set *weir.Set) *Chooser {
	c := &Chooser{selecting: map[[2]string][]*weir.Object{}, members: map[string][]*weir.Object{}}
	for o := range set.All("Pool") {
		spec := o.Spec.(*weir.Pool)
		for _, m := range spec.Members {
			c.members[m.Name] = append(c.members[m.Name], o)
		}
		s := spec.Selector
		if s == nil {
			continue
		}
		clusters := s.Clusters
		if len(clusters) == 0 {
			clusters = []string{""}
		}
		for _, cluster := range clusters {
			key := [2]string{s.Role, cluster}
			c.selecting[key] = append(c.selecting[key], o)
		}
	}
	return c
}

// Selects runs for each pool that selects a server; for one that names several of its clusters more than once.
func (c *Chooser) Selects(server *weir.Object, take func(pool *weir.Object)) {
	role := server.Metadata.Role
	for _, cluster := range append([]string{""}, server.Spec.(*weir.Server).Clusters...) {
		for _, pool := range c.selecting[[2]string{role, cluster}] {
			if pool.Spec.(*weir.Pool).Selects(pool.Metadata.Role, server) {
				take(pool)
			}
		}
	}
}

// Chooser gives that of a set's pools, which is the same one for as long as they are.
func (c *Compiler) Chooser(set *weir.Set) *Chooser { return c.choosers.of(set) }

// choosers keeps those of the last two sets' pools, which are the same most of the time.
type choosers struct {
	newest, older struct {
		stamp *weir.Stamp
		*Chooser
	}
}

func (k *choosers) of(set *weir.Set) *Chooser {
	stamp := set.Stamp("Pool")
	switch {
	case k.newest.Chooser != nil && k.newest.stamp == stamp:
		return k.newest.Chooser
	case k.older.Chooser != nil && k.older.stamp == stamp:
		return k.older.Chooser
	}
	k.older = k.newest
	k.newest.stamp, k.newest.Chooser = stamp, newChooser(set)
	return k.newest.Chooser
}
