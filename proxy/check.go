package proxy

import (
	"go.uber.org/zap"

	"gatehouse/proxy/config"
)

// CheckReport is what Check found out about a good configuration.
type CheckReport struct {
	Applications []CheckedPolicies `json:"applications"`
}

// CheckedPolicies says how the rules of an application will run.
type CheckedPolicies struct {
	Name   string `json:"name"`
	Mode   string `json:"mode"`
	Policy string `json:"policy"`
	// Rules are those loaded; Compiled of them run as a program, Reference on the reference engine.
	Rules     int `json:"rules"`
	Compiled  int `json:"compiled"`
	Reference int `json:"reference"`
}

// Check builds a configuration as a gateway would before serving it, and opens nothing.
func Check(loaded *config.Loaded) (*CheckReport, error) {
	i, err := NewInspector(loaded, zap.NewNop())
	if err != nil {
		return nil, err
	}
	report := &CheckReport{Applications: []CheckedPolicies{}}
	st := i.server.state.Load()
	for _, app := range st.apps {
		a := CheckedPolicies{Name: app.config.Name, Mode: string(app.config.Mode), Policy: app.config.Policy}
		if app.rules != nil {
			a.Rules = app.rules.Rules()
			a.Reference = a.Rules
		}
		report.Applications = append(report.Applications, a)
	}
	return report, i.Close()
}
