//! XML that nobody's libvirt writes: it is refused before it costs time or memory.

use crate::common::fault;
use slash32_libvirt::{Hook, domain_status};

/// What is wrong with a document in the place of a domain.
fn refused(xml: &str) -> String {
    let text = fault(Hook::Qemu, "start", xml);
    let reason = text.strip_prefix("qemu hook, start: ").unwrap();
    assert_eq!(domain_status(xml).unwrap_err().0, reason);
    reason.to_owned()
}

#[test]
fn a_mebibyte_of_open_tags_is_refused() {
    let reason = refused(&"<a>".repeat(350_000));
    let expected =
        "the XML cannot be read: it has more than 100000 elements, and libvirt writes none such";
    assert_eq!(reason, expected);
}

#[test]
fn elements_as_deep_as_there_may_be_are_read_without_a_deep_stack() {
    let deep = |closed: &str| "<a>".repeat(45_000) + &closed.repeat(45_000);
    assert_eq!(refused(&deep("</a>")), "it has no <domain>");
    let open = refused(&deep(""));
    assert_eq!(
        open,
        "the XML cannot be read: the root node was opened but never closed"
    );
}

#[test]
fn a_document_type_definition_is_refused() {
    for xml in [
        "<!DOCTYPE domain><domain/>",
        "<!DOCTYPE domain [<!ENTITY a 'a'>]><domain>&a;</domain>",
        "<!DOCTYPE domain SYSTEM 'file:///etc/passwd'><domain/>",
        "<?xml version='1.0'?>\n<!DOCTYPE domain [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><domain>&a;</domain>",
    ] {
        assert_eq!(
            refused(xml),
            "the XML cannot be read: XML with DTD detected"
        );
    }
}

#[test]
fn an_entity_that_nobody_defined_is_refused() {
    let reason = refused("<domain><name>&lol;</name></domain>");
    assert_eq!(
        reason,
        "the XML cannot be read: unknown entity reference 'lol' at 1:15"
    );
}

#[test]
fn an_element_with_more_attributes_than_any_of_libvirts_is_refused() {
    let attributes = |count: usize| -> String {
        let attributes: String = (0..count).map(|n| format!(" a{n}=''")).collect();
        format!("<domain{attributes}/>")
    };
    assert_eq!(refused(&attributes(128)), "the domain has no <name>");
    let expected = "the XML cannot be read: it has an element with more than 128 attributes, and libvirt writes none such";
    assert_eq!(refused(&attributes(129)), expected);
    assert_eq!(refused(&attributes(300_000)), expected);
}

#[test]
fn more_namespaces_than_libvirt_declares_are_refused() {
    let nested = |depth: usize| -> String {
        let open: String = (0..depth)
            .map(|n| format!("<a xmlns:n{n}='n{n}'>"))
            .collect();
        open + &"</a>".repeat(depth)
    };
    assert_eq!(refused(&nested(128)), "it has no <domain>");
    let expected =
        "the XML cannot be read: it has more than 128 namespaces, and libvirt writes none such";
    assert_eq!(refused(&nested(129)), expected);
    assert_eq!(refused(&nested(40_000)), expected);
}

#[test]
fn what_is_in_quotes_text_and_comments_is_not_counted() {
    let many = "a='' xmlns:a='' ".repeat(1000);
    let quoted = many.replace('\'', "\"");
    let xml = format!(
        "<?pi {many}?><!-- {many} --><domain><description>{many}<![CDATA[<{many}>]]></description>\
         <name a='{quoted}'>web</name><uuid>1</uuid></domain>"
    );
    assert!(domain_status(&xml).is_ok());
}

#[test]
fn what_the_fault_quotes_of_the_document_is_short() {
    let xml = format!("<domain><{}></domain>", "a".repeat(1 << 20));
    assert!(refused(&xml).len() < 200);
}

#[test]
fn a_long_text_is_read() {
    let text = "x".repeat(8 << 20);
    let xml =
        format!("<domain><name>web</name><uuid>1</uuid><description>{text}</description></domain>");
    assert!(domain_status(&xml).is_ok());
}
