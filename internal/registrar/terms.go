package registrar

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"weir"
)

// mayName says why a token does not let a server of a name in from an address, or nil.
func mayName(token *weir.Object, name string, from netip.Addr) error {
	terms := token.Spec.(*weir.Token).Registration
	if err := weir.CheckName(name); err != nil {
		return weir.Errorf(weir.Invalid, "name %s", err)
	}
	if !terms.MayName(name) {
		return weir.Errorf(weir.Forbidden, "token %s lets servers named %s register; %s is not named so", token.Metadata.Name, strings.Join(terms.Names, " or "), name)
	}
	if !terms.Reaches(from) {
		return weir.Errorf(weir.Forbidden, "token %s lets servers register from %s; %s asks from %s", token.Metadata.Name, networks(terms), name, from)
	}
	return nil
}

func networks(terms *weir.RegistrationTerms) string {
	list := make([]string, len(terms.Networks))
	for i, n := range terms.Networks {
		list[i] = n.String()
	}
	return strings.Join(list, " or ")
}

// wished makes the Server of what one says of itself and of what its token says, or tells what of it the token does not
// allow. Its registration is not filled in.
func wished(token *weir.Object, name string, from netip.Addr, a *weir.Announcement) (*weir.Object, error) {
	terms := token.Spec.(*weir.Token).Registration
	refuse := func(path, format string, args ...any) error {
		return &weir.Error{Kind: weir.Forbidden, Message: "token " + token.Metadata.Name + " does not allow this", Problems: []weir.Problem{
			{Object: "Server/" + name, Path: path, Message: fmt.Sprintf(format, args...)},
		}}
	}
	spec := &weir.Server{Address: a.Address.Unmap(), Zone: a.Zone, Clusters: a.Clusters, Ports: a.Ports, Weight: a.Weight}
	switch {
	case !spec.Address.IsValid():
		spec.Address = from
	case spec.Address != from && !terms.AnyAddress:
		return nil, refuse("address", "%s is not the address that this server asks from, %s; leave it out, or make the token with --any-address", spec.Address, from)
	case !terms.Reaches(spec.Address):
		return nil, refuse("address", "%s is not in %s", spec.Address, networks(terms))
	}
	if spec.Zone == "" {
		spec.Zone = terms.Zone
	} else if terms.Zone != "" && spec.Zone != terms.Zone {
		return nil, refuse("zone", "must be %s, not %s", terms.Zone, spec.Zone)
	}
	if len(spec.Clusters) == 0 {
		spec.Clusters = slices.Clone(terms.Clusters)
	}
	for _, cluster := range spec.Clusters {
		if len(terms.Clusters) > 0 && !slices.Contains(terms.Clusters, cluster) {
			return nil, refuse("clusters", "%q is none of %s", cluster, strings.Join(terms.Clusters, ", "))
		}
	}
	spec.Normalize()
	return &weir.Object{
		Kind: "Server", Spec: spec,
		Metadata: weir.Metadata{Name: name, Role: terms.Role, Labels: a.Labels, ManagedBy: weir.ManagedByRegistration},
	}, nil
}

// Role gives the role whose servers a caller is one of, as long as its token lets it in from where it is.
func (r *Registrar) Role(who Caller) (string, error) {
	token, err := r.token(r.opts.Store.View(), who.Registrant)
	if err != nil {
		return "", err
	}
	return token.Spec.(*weir.Token).Registration.Role, mayName(token, who.Name, who.From)
}

// mayHold says why a token's servers may not speak for a name, or nil: who else writes a Server, or another token that
// is good still. What an inventory or a person wrote is theirs, and its server's agent says whether it is healthy.
func (r *Registrar) mayHold(view *weir.Set, token *weir.Object, name string) error {
	o := view.Get(weir.Ref{Kind: "Server", Name: name})
	if o == nil {
		return nil
	}
	role := token.Spec.(*weir.Token).Registration.Role
	if o.Metadata.Role != role {
		return weir.Errorf(weir.Forbidden, "server %s is there already and belongs to another role than %s, which token %s is for", name, role, token.Metadata.Name)
	}
	if by := o.Metadata.ManagedBy; by != "" && by != weir.ManagedByInventory && by != weir.ManagedByRegistration {
		return weir.Errorf(weir.Forbidden, "server %s is there already, written by %s; one writer leaves the servers of another alone", name, by)
	}
	spoken := o.Spec.(*weir.Server).Registration
	if spoken == nil {
		return nil
	}
	holder, ours := strings.CutPrefix(spoken.By, weir.ByRegistration)
	if !ours || holder == token.Metadata.Name {
		return nil
	}
	other := view.Get(weir.Ref{Kind: "Token", Name: holder})
	if other == nil || other.Spec.(*weir.Token).Registration == nil || r.lasts(other) != nil {
		return nil
	}
	return weir.Errorf(weir.Forbidden, "server %s is registered with token %s; delete that one (weir token delete %s) once its servers have the new one, or for this one alone Server/%s", name, holder, holder, name)
}

// own says that all of a Server is its own agent's, and not only its health.
func own(o *weir.Object) bool { return o == nil || o.Metadata.ManagedBy == weir.ManagedByRegistration }
