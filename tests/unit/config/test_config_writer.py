"""The writer: what it writes is read as the same model."""

from hypothesis import HealthCheck, given, settings
from strategies import configs, loaded

from keepalive_py.config.diagnostics import Severity
from keepalive_py.config.writer import write

LAWS = settings(deadline=None, suppress_health_check=list(HealthCheck))


@LAWS
@given(configs())
def test_what_is_written_is_read_as_the_same(config):
    assert loaded(write(config)).config == config


@LAWS
@given(configs())
def test_what_was_written_once_is_written_the_same_again(config):
    text = write(config)
    assert write(loaded(text).config) == text


def test_a_written_configuration_has_no_errors_of_its_own():
    text = """
    global_defs { smtp_alert; }
    virtual_server 192.0.2.1 80 {
        lb_algo sh
        sh-port
        lb_kind TUN type gue port 6080 csum
        protocol TCP
        delay_loop 2.5
        quorum 2
        sorry_server 192.0.2.9 80
        sorry_server_lvs_method DR
        real_server 192.0.2.2 80 {
            HTTP_GET {
                url {
                    path "/a b"
                    status_code 200 301-302
                    regex "a\\"b#{}"
                }
                connect_port 8080
                virtualhost "x y"
            }
        }
        real_server 192.0.2.3 80 {
            weight 3
            lvs_method DR
            alpha
            SMTP_CHECK { connect_ip 192.0.2.77 }
        }
    }
    """.replace("smtp_alert;", "smtp_alert")
    config = loaded(text).config
    again = loaded(write(config))
    assert [each for each in again.diagnostics if each.severity is Severity.ERROR] == []
    assert again.config == config


def test_the_written_text_is_what_a_person_would_write():
    text = """
    virtual_server 192.0.2.1 80 {
        lvs_sched rr
        lvs_method DR
        protocol tcp
        real_server 192.0.2.2 80 { TCP_CHECK { connect_timeout 3.50 } }
    }
    """
    assert write(loaded(text).config) == (
        "virtual_server 192.0.2.1 80 {\n"
        "    protocol TCP\n"
        "    lb_algo rr\n"
        "    lb_kind DR\n"
        "    real_server 192.0.2.2 80 {\n"
        "        TCP_CHECK {\n"
        "            connect_timeout 3.5\n"
        "        }\n"
        "    }\n"
        "}\n"
    )
