package policy

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"gatehouse/rules"
	"gatehouse/rules/crs"
)

//go:embed base.conf
var baseText string

//go:embed setup_gatehouse.conf
var setupGatehouseText string

// The limits of every lowered policy.
const (
	maxArguments = 1000
	maxJSONDepth = 128
)

// Defaults of CRS's settings where the policy leaves them out.
const (
	defaultParanoia          = 1
	defaultInboundThreshold  = 5
	defaultOutboundThreshold = 4
)

// setupSources are CRS's settings: those of the setup and those of the policy.
func setupSources(c CRS, release crs.Release) ([]rules.Source, error) {
	var setup rules.Source
	var own []string
	switch c.Setup {
	case SetupGatehouse, "":
		setup = rules.Source{Name: "gatehouse/setup-gatehouse-1.conf", Text: setupGatehouseText}
		version, err := setupVersion(release.Version)
		if err != nil {
			return nil, err
		}
		own = append(own, "crs_setup_version="+version)
	case SetupStock:
		setup = rules.Source{Name: release.Dir() + "/crs-setup.conf", Text: release.SetupExample}
	default:
		return nil, fmt.Errorf("crs.setup: %q is not a setup (%s, %s)", c.Setup, SetupGatehouse, SetupStock)
	}
	paranoia := valueOr(c.Paranoia, defaultParanoia)
	if paranoia < 1 || paranoia > 4 {
		return nil, fmt.Errorf("crs.paranoia: %d is not a paranoia level; write 1 to 4", paranoia)
	}
	inbound, outbound := valueOr(c.InboundThreshold, defaultInboundThreshold), valueOr(c.OutboundThreshold, defaultOutboundThreshold)
	if inbound < 1 || outbound < 1 {
		return nil, fmt.Errorf("crs: a threshold is at least 1")
	}
	own = append(own,
		"blocking_paranoia_level="+strconv.Itoa(paranoia),
		"inbound_anomaly_score_threshold="+strconv.Itoa(inbound),
		"outbound_anomaly_score_threshold="+strconv.Itoa(outbound))
	var b strings.Builder
	fmt.Fprintf(&b, "SecAction \\\n    \"id:%d,phase:1,pass,nolog,t:none,tag:'%s'", settingsID, TagInternal)
	for _, s := range own {
		b.WriteString(",\\\n    setvar:tx." + s)
	}
	b.WriteString("\"\n")
	return []rules.Source{setup, {Name: "gatehouse/settings.conf", Text: b.String()}}, nil
}

func valueOr(v, otherwise int) int {
	if v == 0 {
		return otherwise
	}
	return v
}

// setupVersion is the number by which CRS knows that its settings fit: 4250 for 4.25.0.
func setupVersion(version string) (string, error) {
	var major, minor, patch int
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); err != nil {
		return "", fmt.Errorf("CRS version %q: %w", version, err)
	}
	return strconv.Itoa(major*1000 + minor*10 + patch), nil
}
