//! The examples of the Python framework's development guide. Each file shows the service first; below
//! the line stands for what the guide's examples call and do not show.

pub mod advanced_service;
pub mod complex_processor;
pub mod data_importer;
pub mod failing_service;
pub mod hello_world;
pub mod manual_service;
pub mod recovering_service;
pub mod resilient_service;
pub mod simple_service;
pub mod telescope_control;
pub mod telescope_monitor;
