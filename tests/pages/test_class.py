"""A class on the page Handwriting, without a browser: started, joined, watched and ended."""

import re

import pytest
from streamlit.testing.v1 import AppTest

from digitcore.store.handwriting import new_key
from pages.parts.handwriting.address import with_host
from pages.shared.notebook import NOTEBOOK
from pages.shared.resources import class_store, handwriting_store
from tests.pages.conftest import Visit, is_fine, texts
from tests.pages.test_write import asked, send

SEVEN = [[[100.0, 60.0], [220.0, 60.0], [130.0, 270.0]]]


def start_class(visit: Visit) -> AppTest:
    app = visit("handwriting", view="Class")
    app.button(key="start-class").click().run()
    assert is_fine(app)
    return app


def code_of(teacher: AppTest) -> str:
    return class_store().board(teacher.session_state[NOTEBOOK]).code


def join(member: AppTest, name: str) -> AppTest:
    member.text_input(key="class-name-field").set_value(name)
    button = next(button for button in member.button if button.label == "Join")
    button.click().run()
    return member


def joined(visit: Visit, teacher: AppTest, name: str) -> AppTest:
    member = join(visit("handwriting", **{"class": code_of(teacher)}), name)
    assert is_fine(member)
    return member


def press(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert is_fine(app)


def test_who_opens_the_link_writes_for_the_class_at_once(visit: Visit) -> None:
    teacher = start_class(visit)
    member = joined(visit, teacher, "Ann")
    assert "You write as **Ann** for your class." in texts(member)
    first, second = asked(member)["prompts"][:2]
    send(member, [(1, first, SEVEN), (2, second, SEVEN)])
    assert asked(member)["written"] == 2
    written = handwriting_store().load(teacher.session_state[NOTEBOOK])
    assert list(zip(written.writers, written.labels.tolist(), strict=True)) == [("Ann", first), ("Ann", second)]
    assert NOTEBOOK not in member.session_state
    teacher.run()
    for app in (teacher, member):
        assert "<b>2</b> digits by <b>1</b> member" in texts(app)
        assert f"The last digits, the newest first: {second}, {first}" in texts(app)
    send(member, [(3, 0, [])])
    assert asked(member)["written"] == 1


def test_members_see_the_board_and_nothing_of_the_teachers(visit: Visit) -> None:
    teacher = start_class(visit)
    member = joined(visit, teacher, "Ann")
    class_store().join(code_of(teacher), "ann")
    send(member, [(1, 7, SEVEN)])
    member.segmented_control(key="view").set_value("Class").run()
    assert is_fine(member)
    assert "You are **Ann**" in texts(member)
    assert re.search(r'class="own">Ann <b>1</b>', texts(member))
    assert 'class="">ann 2 <b>0</b>' in texts(member)
    assert not [button for button in member.button if button.key == "end-class"]
    member.segmented_control(key="view").set_value("Digits").run()
    assert "Nothing is kept yet." in texts(member)
    member.segmented_control(key="view").set_value("Class").run()
    press(member, "leave-class")
    assert "Or join one:" in texts(member)
    assert class_store().board(teacher.session_state[NOTEBOOK]).digits == 1


def test_who_teaches_may_write_too(visit: Visit) -> None:
    teacher = start_class(visit)
    teacher.query_params["class"] = code_of(teacher)
    join(teacher.run(), "Teacher")
    assert "You write as **Teacher** for your class." in texts(teacher)
    teacher.segmented_control(key="view").set_value("Class").run()
    assert is_fine(teacher)
    assert "You are **Teacher**" in texts(teacher)
    assert "<b>0</b> digits by <b>1</b> member" in texts(teacher)


def test_an_invitation_can_be_turned_down_and_a_code_typed(visit: Visit) -> None:
    teacher = start_class(visit)
    assert f"{code_of(teacher)[:3]} {code_of(teacher)[3:]}" in texts(teacher)
    member = visit("handwriting", **{"class": code_of(teacher)})
    press(member, "decline-class")
    member.text_input(key="class-code-field").set_value("AAAAAA")
    join(member, "Bob")
    assert [error.value for error in member.error] == ["No class has this code: look again, or ask your teacher."]
    member.text_input(key="class-code-field").set_value(code_of(teacher).lower())
    join(member, "Bob")
    assert is_fine(member)
    assert "You write as **Bob**" in texts(member)


def test_the_teacher_closes_the_class_makes_groups_and_ends_it(visit: Visit) -> None:
    before = new_key()
    teacher = visit("handwriting", view="Class", notebook=before)
    press(teacher, "start-class")
    notebook = teacher.session_state[NOTEBOOK]
    member = joined(visit, teacher, "Ann")
    for name in ("Bob", "Zoë"):
        class_store().join(code_of(teacher), name)
    send(member, [(1, 7, SEVEN)])
    teacher.run()
    press(teacher, "split-class")
    assert teacher.multiselect(key="class-group-a").value == ["Ann", "Zoë"]
    teacher.multiselect(key="class-group-a").set_value(["Zoë"]).run()
    assert [item.group for item in class_store().board(notebook).members] == ["B", "B", "A"]
    teacher.toggle(key="class-open").set_value(False).run()
    assert "Nobody else can join." in texts(teacher)
    late = visit("handwriting", **{"class": code_of(teacher)})
    assert [error.value for error in join(late, "Late").error] == [
        "Nobody can join this class any more: ask your teacher."
    ]
    press(teacher, "end-class")
    assert teacher.session_state[NOTEBOOK] == before
    assert handwriting_store().size(notebook) == 0
    member.run()
    assert "This class is over. What you wrote in it is deleted." in texts(member)
    assert member.button(key="start-writing")


def test_a_server_that_keeps_no_handwriting_has_no_classes(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIGITCORE_COLLECTING", "off")
    app = visit("handwriting", view="Class")
    assert "This server keeps no handwriting." in texts(app)
    assert not [button for button in app.button if button.key == "start-class"]


def test_phones_are_told_the_address_of_the_network() -> None:
    """And not "localhost", which each takes for itself."""
    assert with_host("https://localhost/digits/handwriting", "10.0.0.5") == "https://10.0.0.5/digits/handwriting"
